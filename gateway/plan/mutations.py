"""Plans a change: whether it may be made at all, and what is shown of its payload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphql import (
    FieldNode,
    GraphQLInputObjectType,
    ObjectValueNode,
    ValueNode,
    VariableNode,
)

from schema.model import Model
from schema.mutation import Mutation
from schema.writing import Becomes

from ..errors import Code, RequestError, fault
from ..flat_input import is_plain
from ..grants import Grants
from ..operation import location_of
from ..row_rules import Scope
from .cost import root_cost
from .judge import Judge
from .planner import Planner
from .selections import Path
from .values import (
    Constant,
    FromVariable,
    LocalRoot,
    MutationRoot,
    NodeRoot,
    NodesRoot,
    Operand,
    Plan,
    Reading,
    Root,
    made_key,
)

_SCOPES = {Becomes.CUSTOMER: Scope.ACCOUNT, Becomes.BUYER: Scope.ONE_ORDER}


def check_alone(fields: Mapping[str, Sequence[FieldNode]], model: Model) -> None:
    """Raises where a change that goes alone is one of several, whatever they are called in the answer.

    # INVARIANT: a request tries one secret. Aliases would try as many as fit, at the price of one request.
    """
    changes = [nodes[0] for nodes in fields.values() if nodes[0].name.value != "__typename"]
    for node in changes if len(changes) > 1 else ():
        if model.mutations[node.name.value].alone:
            raise not_alone(node)


def not_alone(node: FieldNode) -> RequestError:
    """That a change is made in an operation of its own."""
    message = f"`Mutation.{node.name.value}` is the only change of its operation"
    return fault(Code.VALIDATION_FAILED, message, location_of(node))


def mutation_root(planner: Planner, key: str, nodes: Sequence[FieldNode], became: Grants | None) -> Root:
    """The plan of a mutation's field; null where it is refused, which refuses the whole operation."""
    name, path = nodes[0].name.value, Path().child(key)
    if name == "__typename":
        return Constant(key, "Mutation")
    mutation = planner.model.mutations[name]
    judge, location = planner.judge, location_of(nodes[0])
    coordinate = f"Mutation.{name}"
    if not (judge.opens(coordinate, path, location) and judge.execution(coordinate, path, location)):
        return Constant(key, None)
    becomes = became is not None and mutation.becomes is not None
    if became is not None and mutation.becomes is not None:
        # What an anonymous caller just made is answered as the customer it became.
        judge = Judge(became, refusals=judge.refusals, withheld=judge.withheld)
        planner = replace(planner, judge=judge, scope=_SCOPES[mutation.becomes])
    (argument,) = nodes[0].arguments or ()
    kind = planner.model.graphql.type_map[mutation.input.name]
    assert isinstance(kind, GraphQLInputObjectType)  # noqa: S101  # so the model is made
    given, payload = variables_of(argument.value, kind), _payload(planner, mutation, nodes, path)
    return MutationRoot(key, mutation, tuple(nodes), payload, becomes, given)


def variables_of(value: ValueNode, kind: GraphQLInputObjectType) -> tuple[tuple[str, str], ...] | None:
    """The fields of an input, in the order of its type, each with the variable that gives it.

    None where one is no variable, or the object holds more than what is given.
    """
    if not isinstance(value, ObjectValueNode) or not is_plain(kind):
        return None
    written = {field.name.value: field.value for field in value.fields}
    found = [(name, of.name.value) for name, of in written.items() if isinstance(of, VariableNode)]
    places = list(kind.fields)
    found.sort(key=lambda one: places.index(one[0]))
    return tuple(found) if len(found) == len(written) else None


def _payload(planner: Planner, mutation: Mutation, nodes: Sequence[FieldNode], path: Path) -> Plan:
    fields = planner.selections.below(nodes, frozenset({mutation.payload}))
    roots = tuple(_part(planner, mutation, key, below, path.child(key)) for key, below in fields.items())
    cost = sum(root_cost(root, planner.settings.page_limit) for root in roots)
    return Plan(roots, (), (), planner.scope, cost)


def _part(planner: Planner, mutation: Mutation, key: str, nodes: Sequence[FieldNode], path: Path) -> Root:
    name = nodes[0].name.value
    if name == "__typename":
        return Constant(key, mutation.payload)
    target = mutation.entities.get(name) or mutation.lists.get(name)
    if target is None:
        return LocalRoot(key, name, tuple(nodes))
    entity, coordinate = planner.model.entities[target], f"{mutation.payload}.{name}"
    rules = planner.judge.target(entity, coordinate, path, location_of(nodes[0]))
    if rules is None:
        return Constant(key, None)
    made = FromVariable(made_key(name), ())
    if name in mutation.lists:
        record = planner.record(entity, rules, nodes, Path(path.keys, 1))
        return NodesRoot(key, Operand(made, None, Reading(Code.BAD_ID, frozenset({target}))), (record,))
    return NodeRoot(key, Operand(made, None), planner.record(entity, rules, nodes, path))
