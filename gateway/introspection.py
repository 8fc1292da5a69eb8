"""The schema as one role sees it: exactly what it holds a grant for, over all its purposes.

Validation uses the full schema; what `__schema`, `__type` and the printed SDL show is made here, once per
role and policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldDefinitionNode,
    FieldNode,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    ObjectTypeDefinitionNode,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeNode,
    build_ast_schema,
    execute_sync,
    parse,
    print_schema,
)

from schema.fields import ToMany, ToOne
from schema.model import Entity, Model
from schema.mutation import Input

from .grants import Grants, Refused, Use
from .looks import variables_of
from .operation import Operation
from .plan.judge import may_ask
from .policy import Policy

Definition = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode | InputObjectTypeDefinitionNode
MOST_VIEWS = 64
COMBINING = frozenset({"and", "or", "not"})


class SchemaViews:
    """The schema of each role, and of what single tokens are limited to, made when it is first asked for."""

    def __init__(self, model: Model, policy: Policy) -> None:
        self._model = model
        self._policy = policy
        self._view = lru_cache(maxsize=MOST_VIEWS)(self._make)
        self._text = lru_cache(maxsize=MOST_VIEWS)(self._print)

    @cached_property
    def _document(self) -> DocumentNode:
        # PERF: 0.05 s of a worker's start; most workers are never asked for a schema.
        return parse(self._model.sdl(), no_location=True)

    def of(self, role: str | None, operations: frozenset[str] = frozenset()) -> GraphQLSchema:
        """The schema a role sees, of the root fields it is limited to, if to any; always a valid one."""
        return self._view(role, operations)

    def sdl(self, role: str | None, operations: frozenset[str] = frozenset()) -> str:
        """The same in the schema definition language."""
        return self._text(role, operations)

    def _print(self, role: str | None, operations: frozenset[str]) -> str:
        return print_schema(self._view(role, operations)) + "\n"

    def answer(
        self,
        role: str | None,
        key: str,
        nodes: tuple[FieldNode, ...],
        operation: Operation,
        variables: Mapping[str, object],
        operations: frozenset[str] = frozenset(),
    ) -> object:
        """The value of one introspection field, executed by graphql-core on the role's schema."""
        used = variables_of(nodes, operation.fragments)
        definitions = tuple(
            node
            for node in operation.definition.variable_definitions or ()
            if node.variable.name.value in used
        )
        document = DocumentNode(
            definitions=(
                OperationDefinitionNode(
                    operation=operation.definition.operation,
                    variable_definitions=definitions,
                    directives=(),
                    selection_set=SelectionSetNode(selections=nodes),
                ),
                *operation.fragments.values(),
            )
        )
        given = {name: value for name, value in variables.items() if name in used}
        result = execute_sync(self._view(role, operations), document, variable_values=given)
        if result.errors or result.data is None:
            raise RuntimeError("introspection of a valid schema failed")
        return result.data[key]

    def _make(self, role: str | None, operations: frozenset[str]) -> GraphQLSchema:
        codes: Iterable[str | None] = (None, *self._policy.purposes)
        grants = [self._policy.grants(role, code) for code in codes]
        found = _Filter(self._model, grants, self._policy.became(role), operations)
        return build_ast_schema(found.document(self._document))


class _Filter:
    """Keeps of a schema document what at least one of the grants opens."""

    def __init__(
        self, model: Model, grants: list[Grants], became: Grants | None, operations: frozenset[str]
    ) -> None:
        self._model = model
        self._operations = operations
        self._grants = grants
        self._inputs = {of.name: of for root in model.mutations.values() for of in root.inputs()}
        becoming = [name for name, root in model.mutations.items() if root.becomes is not None]
        becomes = any(self._executes(f"Mutation.{name}") for name in becoming)
        # A payload is answered by what its caller became: its types are shown, though no root leads to them.
        self._answered = [*grants, became] if became is not None and becomes else grants

    def document(self, document: DocumentNode) -> DocumentNode:
        """The filtered document: no dangling reference, no empty type, nothing unreachable."""
        kept: dict[str, Any] = {}
        for node in document.definitions:
            filtered = self._definition(node)
            if filtered is not None:
                kept[filtered.name.value] = filtered
        while self._drop_dangling(kept):
            pass
        reachable = _reachable(kept)
        return DocumentNode(definitions=tuple(node for name, node in kept.items() if name in reachable))

    def _any(self, decide: Callable[[Grants], object]) -> bool:
        """Whether the caller itself may do something, for some purpose."""
        return any(not isinstance(decide(grants), Refused) for grants in self._grants)

    def _any_answered(self, decide: Callable[[Grants], object]) -> bool:
        """Whether the caller may do something below a root, its payloads included."""
        return any(not isinstance(decide(grants), Refused) for grants in self._answered)

    def _definition(self, node: Any) -> Any | None:
        match node:
            case ObjectTypeDefinitionNode() if node.name.value == "Query":
                return _with_fields(node, [self._root(field) for field in self._asked(node)])
            case ObjectTypeDefinitionNode() if node.name.value == "Mutation":
                return _with_fields(node, [self._mutation(field) for field in self._asked(node)])
            case ObjectTypeDefinitionNode() if node.name.value == "Subscription":
                return _with_fields(node, [self._subscription(field) for field in self._asked(node)])
            case ObjectTypeDefinitionNode() if entity := self._model.entities.get(node.name.value):
                if not self._shows(entity):
                    return None
                return _with_fields(node, [self._field(entity, field) for field in node.fields or ()])
            case InputObjectTypeDefinitionNode():
                return self._input(node)
            case _:
                return node

    def _asked(self, node: ObjectTypeDefinitionNode) -> list[FieldDefinitionNode]:
        """The root fields that the caller is not kept from."""
        root = node.name.value
        fields = node.fields or ()
        return [field for field in fields if may_ask(self._operations, f"{root}.{field.name.value}")]

    def _sees(self, entity: Entity) -> bool:
        return self._any(lambda grants: grants.type_access(entity.name))

    def _shows(self, entity: Entity) -> bool:
        return self._any_answered(lambda grants: grants.type_access(entity.name))

    def _field(self, entity: Entity, node: FieldDefinitionNode) -> FieldDefinitionNode | None:
        coordinate = entity.fields[node.name.value].coordinate
        return node if self._any_answered(lambda grants: grants.cell(coordinate)) else None

    def _mutation(self, node: FieldDefinitionNode) -> FieldDefinitionNode | None:
        return node if self._executes(f"Mutation.{node.name.value}") else None

    def _root(self, node: FieldDefinitionNode) -> FieldDefinitionNode | None:
        name = node.name.value
        if name in self._model.lists:
            return node if self._sees(self._model.entities[self._model.lists[name]]) else None
        if name in self._model.lookups:
            entity = self._model.entities[self._model.lookups[name][0]]
            found = [
                argument
                for argument in node.arguments or ()
                if self._compares(entity.fields[argument.name.value].coordinate)
            ]
            return _copy(node, arguments=tuple(found)) if found and self._sees(entity) else None
        return node if self._executes(f"Query.{name}") else None

    def _executes(self, coordinate: str) -> bool:
        return self._any(lambda grants: grants.execution(coordinate))

    def _sets(self, coordinate: str, use: Use) -> bool:
        return self._any(lambda grants: grants.writing(coordinate, use))

    def _subscription(self, node: FieldDefinitionNode) -> FieldDefinitionNode | None:
        name = node.name.value
        watch = self._model.subscriptions[name]
        entity = self._model.entities[watch.target]
        if not self._sees(entity) or not self._executes(f"Subscription.{name}"):
            return None
        found = [
            argument
            for argument in node.arguments or ()
            if self._opens(entity, watch.arguments[argument.name.value][0], "Where")
        ]
        return _copy(node, arguments=tuple(found)) if found else None

    def _compares(self, coordinate: str) -> bool:
        return self._any_answered(lambda grants: grants.comparison(coordinate))

    def _input(self, node: InputObjectTypeDefinitionNode) -> InputObjectTypeDefinitionNode | None:
        written = self._inputs.get(node.name.value)
        return self._condition(node) if written is None else self._written(node, written)

    def _written(
        self, node: InputObjectTypeDefinitionNode, of: Input
    ) -> InputObjectTypeDefinitionNode | None:
        """A mutation's input without what the caller may not set; None where it may set nothing of it."""
        use = Use(of.writes.value)
        gated = {name: field.coordinate for name, field in of.fields.items() if field.coordinate is not None}
        refused = {name for name, coordinate in gated.items() if not self._sets(coordinate, use)}
        if gated and refused == gated.keys():
            return None
        kept = [field for field in node.fields or () if field.name.value not in refused]
        return _copy(node, fields=tuple(kept))  # type: ignore[no-any-return]

    def _condition(self, node: InputObjectTypeDefinitionNode) -> InputObjectTypeDefinitionNode | None:
        name = node.name.value
        for suffix in ("ListWhere", "Where", "OrderBy"):
            entity = self._model.entities.get(name.removesuffix(suffix))
            if entity is not None and name.endswith(suffix):
                break
        else:
            return node
        if suffix == "ListWhere":
            return node if self._shows(entity) else None
        fields = [
            field
            for field in node.fields or ()
            if field.name.value in COMBINING or self._opens(entity, field.name.value, suffix)
        ]
        if all(field.name.value in COMBINING for field in fields):
            return None
        kept: InputObjectTypeDefinitionNode = _copy(node, fields=tuple(fields))
        return kept

    def _opens(self, entity: Entity, name: str, suffix: str) -> bool:
        field = entity.fields[name]
        if isinstance(field.source, ToOne | ToMany):
            return self._any_answered(lambda grants: grants.cell(field.coordinate))
        if suffix == "OrderBy":
            return self._any_answered(lambda grants: grants.full_comparison(field.coordinate))
        return self._compares(field.coordinate)

    @staticmethod
    def _drop_dangling(kept: dict[str, Any]) -> bool:
        """Drops fields and arguments whose type is gone, and types left empty; whether anything went."""
        before = dict(kept)
        for name, node in before.items():
            if isinstance(node, Definition):
                fields = [_without_dangling(field, kept) for field in node.fields or ()]
                changed = _with_fields(node, fields)
                if changed is None:
                    del kept[name]
                elif len(changed.fields) != len(node.fields or ()) or any(
                    new is not old for new, old in zip(changed.fields, node.fields or (), strict=False)
                ):
                    kept[name] = changed
        return kept != before


def _named(node: TypeNode) -> str:
    inner: Any = node
    while not isinstance(inner, NamedTypeNode):
        inner = inner.type
    return inner.name.value


BUILT_IN = frozenset({"String", "Int", "Float", "Boolean", "ID"})


def _exists(node: TypeNode, kept: Mapping[str, Any]) -> bool:
    return _named(node) in kept or _named(node) in BUILT_IN


def _without_dangling(field: Any, kept: Mapping[str, Any]) -> Any | None:
    if not _exists(field.type, kept):
        return None
    if not isinstance(field, FieldDefinitionNode):
        return field
    arguments = tuple(argument for argument in field.arguments or () if _exists(argument.type, kept))
    return field if len(arguments) == len(field.arguments or ()) else _copy(field, arguments=arguments)


def _with_fields(node: Any, fields: list[Any]) -> Any | None:
    kept = tuple(field for field in fields if field is not None)
    return _copy(node, fields=kept) if kept else None


def _copy(node: Any, **changed: object) -> Any:
    return type(node)(**{key: getattr(node, key) for key in node.keys} | changed)


def _reachable(kept: Mapping[str, Any]) -> frozenset[str]:
    found: set[str] = set()
    waiting = ["Query", "Mutation", "Subscription"]
    while waiting:
        name = waiting.pop()
        node = kept.get(name)
        if node is None or name in found:
            continue
        found.add(name)
        for field in getattr(node, "fields", None) or ():
            waiting.append(_named(field.type))
            waiting.extend(_named(argument.type) for argument in getattr(field, "arguments", None) or ())
        if isinstance(node, InterfaceTypeDefinitionNode):
            waiting.extend(
                other.name.value
                for other in kept.values()
                if any(interface.name.value == name for interface in getattr(other, "interfaces", None) or ())
            )
    # An interface that no field leads to is there for those who implement it, and brings no others.
    implemented = (getattr(kept[name], "interfaces", None) or () for name in found & kept.keys())
    return frozenset(found | {interface.name.value for some in implemented for interface in some})
