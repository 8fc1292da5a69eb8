"""The gate on input: every coordinate a change would set is judged before any SQL.

Takes a plan of changes, the operation's variables and the caller's grants. Gives `Write`s, or the refusals
of every refused coordinate, nested ones and explicit nulls too: one of them refuses all. Rejects with
BAD_VARIABLE a null where none may stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import ArgumentNode, GraphQLSchema, value_from_ast

from schema.mutation import Input

from ..errors import Code, fault
from ..grants import Grants, Use
from ..operation import location_of
from ..plan import Plan, Refusal
from ..plan.judge import Judge
from ..plan.selections import Path
from ..plan.values import MutationRoot

COMPARISONS = ("FILTER", "SORT")


@dataclass(frozen=True, slots=True)
class Write:
    """A change that passed the gate: its input, and on which rows each coordinate it sets may be set."""

    root: MutationRoot
    input: Mapping[str, Any]
    guards: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Refused:
    """At least one coordinate is refused, so nothing is done."""

    refusals: tuple[Refusal, ...]


def gate(
    plan: Plan, variables: Mapping[str, Any], grants: Grants, schema: GraphQLSchema, *, rejects: bool
) -> tuple[Write, ...] | Refused:
    """The changes of a plan with their guards, or what is refused of them.

    A refused field of a payload is null, and refuses the changes where the caller `rejects` such answers; a
    refused condition or order of a list in it always does, as that of a root list leaves nothing to show.
    """
    judge = Judge(grants)
    writes = tuple(
        _judged(root, variables, judge, schema) for root in plan.roots if isinstance(root, MutationRoot)
    )
    refused = [
        of
        for of in plan.refusals
        if rejects or of.coordinate.startswith("Mutation.") or of.use in COMPARISONS
    ]
    refused += judge.refusals.values()
    return Refused(tuple(refused)) if refused else writes


def _judged(root: MutationRoot, variables: Mapping[str, Any], judge: Judge, schema: GraphQLSchema) -> Write:
    node = next(argument for argument in root.nodes[0].arguments or () if argument.name.value == "input")
    given = _input(node, root.mutation.input, variables, schema)
    path = Path().child(root.key).child("input")
    guards: dict[str, frozenset[str]] = {}
    _judge(root.mutation.input, given, judge, node, path, guards)
    return Write(root, given, guards)


def _input(
    node: ArgumentNode, of: Input, variables: Mapping[str, Any], schema: GraphQLSchema
) -> Mapping[str, Any]:
    kind: Any = schema.type_map[of.name]
    found = value_from_ast(node.value, kind, dict(variables))
    if not isinstance(found, dict):
        # A variable that may be null and has a default may stand where null may not; it is null.
        raise fault(Code.BAD_VARIABLE, "a variable is null where no null may stand", location_of(node))
    return found


def _judge(
    of: Input,
    given: Mapping[str, Any],
    judge: Judge,
    node: ArgumentNode,
    path: Path,
    guards: dict[str, frozenset[str]],
) -> None:
    for name, value in given.items():
        field, below = of.fields[name], path.child(name)
        if field.coordinate is not None:
            use = Use(of.writes.value)
            guards[field.coordinate] = judge.writing(field.coordinate, use, below, location_of(node))
        if field.nested is not None:
            for entry in value if isinstance(value, list) else [value] if value is not None else []:
                _judge(field.nested, entry, judge, node, below, guards)
