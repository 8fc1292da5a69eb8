"""The root fields answered without the database: `viewer`, `privacyNotice` and introspection.

They pass through the same plan; here their values are written, as JSON, under the keys asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import FieldNode

from .grants import Grants
from .introspection import SchemaViews
from .operation import Operation
from .plan import Plan
from .plan.judge import may_ask
from .plan.selections import Selections
from .plan.values import Constant, LocalRoot
from .policy import Policy
from .principal import Principal

ROOTS = ("Query.", "Mutation.", "Subscription.")


@dataclass(frozen=True, slots=True)
class Local:
    """What local fields are made of."""

    policy: Policy
    views: SchemaViews


def local_values(
    local: Local,
    plan: Plan,
    operation: Operation,
    variables: Mapping[str, object],
    principal: Principal,
    grants: Grants,
) -> dict[str, bytes]:
    """The JSON of each local root field of a plan, by response key."""
    if not plan.has_local:
        return {}
    selections = Selections(operation, variables)
    found: dict[str, bytes] = {}
    for root in plan.roots:
        if not isinstance(root, LocalRoot):
            continue
        value: object
        match root.name:
            case "viewer":
                value = _picked(selections, root.nodes, "Viewer", _viewer(local, principal, grants))
            case "privacyNotice":
                notice = local.policy.notice
                fields = {"version": notice.version, "text": notice.text, "digest": notice.digest}
                value = _picked(selections, root.nodes, "PrivacyNotice", fields)
            case _:
                asked = (principal.role, root.key, root.nodes, operation, variables)
                value = local.views.answer(*asked, principal.operations)
        found[root.key] = orjson.dumps(value)
    return found


def without_database(plan: Plan, values: Mapping[str, bytes]) -> dict[str, bytes]:
    """The root fields of a plan that reads nothing, in their order."""
    found: dict[str, bytes] = {}
    for root in plan.roots:
        if isinstance(root, Constant):
            found[root.key] = orjson.dumps(root.value)
        else:
            found[root.key] = values[root.key]
    return found


def _viewer(local: Local, principal: Principal, grants: Grants) -> dict[str, object]:
    held = [
        {"coordinate": coordinate, "uses": sorted(use.name for use in uses)}
        for coordinate, uses in grants.coordinates().items()
        if not coordinate.startswith(ROOTS) or may_ask(principal.operations, coordinate)
    ]
    return {
        "role": principal.role,
        "principalId": principal.id,
        "purposes": list(local.policy.purposes_of(principal.role)),
        "grants": held,
    }


def _picked(
    selections: Selections, nodes: Iterable[FieldNode], type_name: str, value: Mapping[str, Any]
) -> dict[str, object]:
    """The fields asked for, under their response keys."""
    found: dict[str, object] = {}
    for key, below in selections.below(nodes, frozenset({type_name})).items():
        name = below[0].name.value
        if name == "__typename":
            found[key] = type_name
        elif name == "grants":
            found[key] = [_picked(selections, below, "Grant", grant) for grant in value["grants"]]
        else:
            found[key] = value[name]
    return found
