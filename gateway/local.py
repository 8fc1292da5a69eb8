"""The root fields answered without the database, such as `viewer`, `privacyNotice` and introspection.

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
from .policy_files.values import Notice
from .principal import Principal
from .processing.values import ProcessingRecord, as_object

ROOTS = ("Query.", "Mutation.", "Subscription.")


@dataclass(frozen=True, slots=True)
class Local:
    """What local fields are made of."""

    policy: Policy
    views: SchemaViews
    record: ProcessingRecord


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
                value = _picked(selections, root.nodes, _viewer(local, principal, grants))
            case "privacyNotice":
                value = _picked(selections, root.nodes, _notice(local.policy.notice))
            case "processingRecord":
                value = _picked(selections, root.nodes, as_object(local.record))
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
        {"__typename": "Grant", "coordinate": coordinate, "uses": sorted(use.name for use in uses)}
        for coordinate, uses in grants.coordinates().items()
        if not coordinate.startswith(ROOTS) or may_ask(principal.operations, coordinate)
    ]
    return {
        "__typename": "Viewer",
        "role": principal.role,
        "principalId": principal.id,
        "purposes": list(local.policy.purposes_of(principal.role)),
        "grants": held,
    }


def _notice(notice: Notice) -> dict[str, object]:
    shown = {"version": notice.version, "text": notice.text, "digest": notice.digest}
    return {"__typename": "PrivacyNotice", **shown}


def _picked(selections: Selections, nodes: Iterable[FieldNode], value: Any) -> Any:
    """The fields asked for, under their response keys; each object says its type in `__typename`."""
    if isinstance(value, list):
        return [_picked(selections, nodes, one) for one in value]
    if not isinstance(value, Mapping):
        return value
    fields = selections.below(nodes, frozenset({value["__typename"]}))
    return {key: _picked(selections, below, value[below[0].name.value]) for key, below in fields.items()}
