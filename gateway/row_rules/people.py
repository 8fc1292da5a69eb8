"""Whose a row is: the customer's, the employee's, the partner's, and whether it is restricted or erased."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import FromClause, Text, false, func, literal_column, not_, or_

from schema.states import Decision

from .parts import Condition, Scope, caller, constants, holds_key, other, parent, row_of, some

# The tables about those who work with the register: the column that says whose a row is, and who they are.
OF_WORK: Mapping[str, tuple[str, str]] = {
    "carrier": ("id", "carrier"),
    "designation": ("employee_id", "employee"),
    "employee": ("id", "employee"),
}
# Look-ups for this purpose are told to the customer by the disclosures that may be, and by nothing else.
AUTHORITY = literal_column("'authority-request'", Text())


def unrestricted(table: FromClause, name: str, _: Scope) -> list[Condition]:
    """The row is no restricted customer's."""
    # GDPR Article 18(2): while restricted, only the person and the privacy officer see the data.
    if name in OF_WORK or name == "partner_token":
        return []
    if name == "customer":
        return [table.c.restricted_at.is_(None)]
    customer = other("customer")
    return [not_(some(table, customer.c.id == table.c.customer_id, customer.c.restricted_at.is_not(None)))]


def not_erased(table: FromClause, name: str, _: Scope) -> list[Condition]:
    """The row is no erased customer's."""
    if name == "customer":
        return [table.c.erased_at.is_(None)]
    customer = other("customer")
    return [some(table, customer.c.id == table.c.customer_id, customer.c.erased_at.is_(None))]


def own(table: FromClause, name: str, scope: Scope) -> list[Condition]:
    """The row is the calling customer's; of a look-up, that it showed them and was for no authority."""
    match scope:
        case Scope.ACCOUNT:
            return _of_caller(table, name)
        case Scope.ONE_ORDER:
            return [*_of_caller(table, name), _of_one_order(table, name)]
        case Scope.NAMED_DELIVERIES:
            return [false()]


def _of_caller(table: FromClause, name: str) -> list[Condition]:
    match name:
        case "access_record":
            allowed = table.c.decision.in_(constants((str(Decision.ALLOWED.value),)))
            told = table.c.purpose.is_distinct_from(AUTHORITY)
            return [holds_key(table, "subject_ids", caller("customer")), allowed, told]
        case "customer":
            return [table.c.id == caller("customer")]
        case _:
            return [table.c.customer_id == caller("customer")]


def _of_one_order(table: FromClause, name: str) -> Condition:
    match name:
        case "orders":
            return table.c.id == caller("order")
        case "order_line" | "delivery" | "returns" | "subject_request" | "legal_hold":
            return table.c.order_id == caller("order")
        case "delivery_event":
            return parent(table, "delivery", "delivery_id", _of_one_order)
        case "return_line":
            return parent(table, "returns", "return_id", _of_one_order)
        case _:
            return false()


def visible_to_subject(disclosure: FromClause, _: str, __: Scope) -> list[Condition]:
    """The privacy officer has not marked it as not to be shown to whom it is about."""
    return [disclosure.c.visible_to_subject]


def consented(customer: FromClause, _: str, __: Scope) -> list[Condition]:
    """The customer's newest decision about the newsletter is a yes."""
    return [customer.c.marketing_consent]


def self_(table: FromClause, name: str, _: Scope) -> list[Condition]:
    """The row is about the caller's own work."""
    if name == "partner_token":
        return [_is_token_of_caller(table)]
    column, who = OF_WORK[name]
    return [table.c[column] == caller(who)]


def _is_token_of_caller(token: FromClause) -> Condition:
    """A key of the rotation that the token asked with is of, or narrowed from one: two steps at most."""
    wider, widest = other("partner_token"), row_of("partner_token", -1)
    child = some(token, wider.c.id == token.c.parent_id, _is_key_of_caller(wider))
    steps = (wider.c.id == token.c.parent_id, widest.c.id == wider.c.parent_id, _is_key_of_caller(widest))
    return or_(_is_key_of_caller(token), child, some(token, *steps))


def _is_key_of_caller(token: FromClause) -> Condition:
    return func.coalesce(token.c.first_id, token.c.id) == caller("rotation")
