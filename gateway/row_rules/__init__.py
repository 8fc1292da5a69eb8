"""The row rules: which rows a grant speaks of, by name, and as a condition in SQL.

The vocabulary is closed. A rule that says nothing of a type is refused when the policy is loaded; a rule
that is not here does not exist. The present moment, the caller and the day counts are bound values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Alias, FromClause, and_, false, or_

from .deliveries import assigned, assigned_open, needed, until
from .orders import is_in_open
from .parts import (
    Adds,
    AllRows,
    Condition,
    RowAccess,
    Scope,
    Where,
    holds_key,
    in_status,
    nothing,
    row_of,
    some,
)
from .people import OF_WORK, consented, not_erased, own, self_, unrestricted, visible_to_subject

__all__ = [
    "AllRows",
    "Scope",
    "Where",
    "holds_key",
    "is_for_changes",
    "is_rule",
    "is_within",
    "row_of",
    "rows",
    "some",
    "speaks_of",
]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: the rows of `base` that also meet what it adds; `tables` are those it says something of."""

    base: str | None
    adds: Adds
    tables: frozenset[str]


_OF_ORDERS = frozenset({"orders", "order_line", "delivery", "delivery_event", "returns", "return_line"})
_PERSONAL = _OF_ORDERS | {"customer", "consent_event"}
_ANY = _PERSONAL | OF_WORK.keys() | {"partner_token", "disclosure", "subject_request", "legal_hold"}
_DISCLOSURE = frozenset({"disclosure"})
_DELIVERY = frozenset({"delivery"})
_RETURN = frozenset({"returns"})

_RULES: Mapping[str, Rule] = {
    "every": Rule(None, nothing, _ANY | {"access_record"}),
    "all": Rule("every", unrestricted, _ANY),
    "linked": Rule("all", not_erased, _PERSONAL),
    "own": Rule("every", own, _PERSONAL | {"access_record", "subject_request", "legal_hold"}),
    # What went to an authority is a customer's own as well: no line may say `own` of disclosures.
    "own_visible": Rule("own", visible_to_subject, _DISCLOSURE),
    "self": Rule("every", self_, frozenset({*OF_WORK, "partner_token"})),
    "open": Rule("all", is_in_open, _OF_ORDERS),
    "consented": Rule("linked", consented, frozenset({"customer"})),
    "assigned": Rule("all", assigned, frozenset({"delivery", "delivery_event"})),
    "assigned_open": Rule("assigned", assigned_open, frozenset({"delivery", "delivery_event"})),
    "assigned_address": Rule("assigned", until("address"), _DELIVERY),
    "assigned_phone": Rule("assigned", needed("needs_phone"), _DELIVERY),
    "assigned_email": Rule("assigned", needed("needs_email"), _DELIVERY),
    # `_OF_CHANGES`: changes are made only on rows that exist for the caller.
    "new": Rule("every", nothing, _PERSONAL),
    "undispatched": Rule("every", in_status("PLANNED", "READY"), _DELIVERY),
    "unrefunded": Rule("own", in_status("REQUESTED", "AWAITING_GOODS", "RECEIVED", "INSPECTED"), _RETURN),
}

_OF_CHANGES = frozenset({"new", "undispatched", "unrefunded", "assigned_open"})


def is_rule(rule: str) -> bool:
    """Whether the vocabulary has this rule."""
    return rule in _RULES


def speaks_of(rule: str, table: str) -> bool:
    """Whether the rule exists and says which rows of this table it means."""
    return rule in _RULES and table in _RULES[rule].tables


def is_for_changes(rule: str) -> bool:
    """Whether the rule speaks of changes alone, so that no line may let somebody see by it."""
    return rule in _OF_CHANGES


def is_within(rule: str, others: frozenset[str]) -> bool:
    """Whether every row of `rule` is a row of one of `others`, by what the rules mean."""
    return any(step in others for step in _steps(rule))


def rows(
    rules: frozenset[str],
    table: FromClause,
    name: str,
    scope: Scope,
    known: frozenset[str] = frozenset(),
) -> RowAccess:
    """The rows of `table` (an alias of the table called `name`) that at least one of the rules means.

    `known` are the rules under which the row is there already: what they say is not asked again.
    """
    # An alias comes again with other statements (`row_of`), any other row with its own alone.
    made = _kept if isinstance(table, Alias) else _meant
    return made(rules, table, name, scope, known)


def _meant(
    rules: frozenset[str], table: FromClause, name: str, scope: Scope, known: frozenset[str]
) -> RowAccess:
    choices = []
    for rule in sorted(rules):
        conditions = _conditions(rule, table, name, scope, known)
        if not conditions:
            return AllRows()
        choices.append(and_(*conditions))
    return Where(or_(false(), *choices))


# PERF: without these, planning the widest of the benchmark's new operations takes 1.2 to 1.35 times as
# long (two runs in turn). Some 40 KB each at most.
_kept = lru_cache(maxsize=256)(_meant)


def _steps(rule: str) -> Iterator[str]:
    """The rule, its base, and so on."""
    step: str | None = rule
    while step is not None:
        yield step
        step = _RULES[step].base


def _conditions(
    rule: str, table: FromClause, name: str, scope: Scope, known: frozenset[str]
) -> list[Condition]:
    found: list[Condition] = []
    for step in _steps(rule):
        if known == {step}:  # of several known rules only one may hold
            break
        found = [*_RULES[step].adds(table, name, scope), *found]
    return found
