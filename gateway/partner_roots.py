"""The root fields that a partner's token can be limited to: those its role may ask for some purpose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schema.model import Model

from .grants import Grants, Refused, Rows
from .policy import PARTNER_ROLES, Policy


def partner_roots(policy: Policy, model: Model) -> Mapping[str, frozenset[str]]:
    """The coordinates of the root fields by the role of a partner."""
    return {role: frozenset(_roots(policy, model, role)) for role in PARTNER_ROLES}


def _roots(policy: Policy, model: Model, role: str) -> Iterable[str]:
    codes: tuple[str | None, ...] = (None, *policy.purposes)
    held = [policy.grants(role, code) for code in codes]
    lookups = {name: target for name, (target, _) in model.lookups.items()}
    read = {f"Query.{name}": target for name, target in {**model.lists, **lookups}.items()}
    called = [one for one in model.coordinates() if one.startswith(("Query.", "Mutation.", "Subscription."))]
    yield from (root for root, target in read.items() if any(_reads(grants, target) for grants in held))
    yield from (root for root in called if any(_calls(grants, root) for grants in held))


def _reads(grants: Grants, entity: str) -> bool:
    match grants.type_access(entity):
        case Rows():
            return True
        case Refused():
            return False


def _calls(grants: Grants, coordinate: str) -> bool:
    match grants.execution(coordinate):
        case Rows():
            return True
        case Refused():
            return False
