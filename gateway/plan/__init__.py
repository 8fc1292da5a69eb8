"""May it, and how: the authorised plan of an operation. Pure: no clock, no database.

Takes an operation, its variables and the caller's grants. Gives a `Plan`, whose refusals are values.
Rejects with `RequestError` what no grant could mend: BAD_PAGE, BAD_LOOKUP, BAD_ID, BAD_VARIABLE, TOO_COMPLEX;
and VALIDATION_FAILED where a change that goes alone stands beside others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schema.model import Model

from ..config import Settings
from ..errors import Code, fault
from ..grants import Grants
from ..operation import Operation, location_of
from ..row_rules import Scope
from .arguments import Trees
from .cost import root_cost
from .judge import Judge
from .many import people_at_once
from .mutations import check_alone, mutation_root
from .planner import Planner
from .selections import Selections
from .values import Plan, Refusal, Root

__all__ = ["Access", "Listing", "Plan", "Refusal", "plan"]


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may do: the grants, how far they reach, and the root fields they are limited to.

    Without any root fields they are limited to none. `disclosable` are the personal fields a partner may be
    given; `listing` the grants that hold where many people are listed, where they are others.
    """

    grants: Grants
    scope: Scope
    operations: frozenset[str] = frozenset()
    disclosable: frozenset[str] | None = None
    listing: Listing | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a caller may do with lists of many people, and the purposes that would allow more."""

    grants: Grants
    purposes: frozenset[str]


def plan(
    operation: Operation,
    variables: Mapping[str, object],
    access: Access,
    model: Model,
    settings: Settings,
    became: Grants | None = None,
) -> Plan:
    """The plan of an operation for the caller's access. It holds for all variables with the same `seen`.

    `became` are the grants of what an anonymous caller may become by a change.
    """
    judge = Judge(access.grants, access.operations, access.disclosable)
    made = _plan(operation, variables, access, model, settings, became, judge)
    if access.listing is None or people_at_once(made.roots, settings.page_limit) <= settings.list_limit:
        return made
    judge = Judge(access.listing.grants, access.operations, access.disclosable, access.listing.purposes)
    return _plan(operation, variables, access, model, settings, became, judge)


def _plan(
    operation: Operation,
    variables: Mapping[str, object],
    access: Access,
    model: Model,
    settings: Settings,
    became: Grants | None,
    judge: Judge,
) -> Plan:
    selections = Selections(operation, variables)
    planner = Planner(model, settings, selections, variables, Trees(variables), judge, access.scope)
    selected = [operation.definition.selection_set]
    roots: tuple[Root, ...]
    if operation.is_mutation:
        fields = selections.fields(selected, frozenset({"Mutation"}))
        check_alone(fields, model)
        if len(fields) > settings.mutation_limit:
            message = f"the operation makes more than {settings.mutation_limit} changes"
            raise fault(Code.TOO_COMPLEX, message, location_of(operation.definition), cost=len(fields))
        roots = tuple(mutation_root(planner, key, nodes, became) for key, nodes in fields.items())
    else:
        fields = selections.fields(selected, frozenset({operation.root_type}))
        roots = tuple(planner.root(key, nodes) for key, nodes in fields.items())
    cost = sum(root_cost(root, settings.page_limit) for root in roots)
    if cost > settings.cost_limit:
        message = f"the operation costs {cost}, more than {settings.cost_limit}"
        raise fault(Code.TOO_COMPLEX, message, location_of(operation.definition), cost=cost)
    return Plan(
        roots=roots,
        refusals=tuple(judge.refusals.values()),
        withheld=tuple(sorted(judge.withheld)),
        scope=access.scope,
        cost=cost,
    )
