"""`python -m tests.bench.prices`: what the prices of `gateway.plan.cost` are relations of, measured again."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import asyncpg

from gateway.answer import Gateway
from gateway.app import create_gateway
from gateway.operation import coerce, parse_operation
from gateway.plan import Access, plan
from gateway.principal import Principal, utc_now
from gateway.recording import Unrecorded
from gateway.row_rules import Scope
from gateway.statements import Statement, compile_plan
from gateway.statements.bound import bound_values

from .place import Place, made

CUSTOMERS, RUNS, WARM = 5000, 21, 8


def _times(field: str, number: int) -> str:
    """A field under so many aliases."""
    return " ".join(f"a{place}: {field}" for place in range(number))


def _page(name: str, fields: str, first: int = 100, **given: str) -> str:
    arguments = " ".join([f"first: {first}", *(f"{key}: {value}" for key, value in given.items())])
    return f"{{ {name}({arguments}) {{ nodes {{ id {fields} }} }} }}"


def _lines(arguments: str = "first: 20", fields: str = "nodes { id }") -> str:
    return _times(f"lines({arguments}) {{ {fields} }}", 5)


# Who asks what, and for which purpose; what a price is, is the difference of two of them.
SUPPORT, CARRIER, OFFICER = ("support", None), ("carrier", None), ("privacy_officer", "subject-rights")
ASKED: dict[str, tuple[tuple[str, str | None], str]] = {
    "one row": (SUPPORT, _page("orders", "", 1)),
    "100 rows of 1 value": (SUPPORT, _page("orders", "")),
    "and 10 texts": (SUPPORT, _page("orders", _times("number", 10))),
    "and 10 times": (SUPPORT, _page("orders", _times("placedAt", 10))),
    "and 10 sums of money": (SUPPORT, _page("orders", _times("total { amount currency }", 10))),
    "100 customers": (SUPPORT, _page("customers", "")),
    "and 10 telephone numbers": (("support", "customer-service"), _page("customers", _times("phone", 10))),
    "and 10 of them masked": (SUPPORT, _page("customers", _times("phone", 10))),
    "100 deliveries of a carrier's": (CARRIER, _page("deliveries", "")),
    "and 10 names with a rule of their own": (CARRIER, _page("deliveries", _times("recipientName", 10))),
    "100 rows, each with 5 related rows": (SUPPORT, _page("orders", _times("customer { id }", 5))),
    "each with 5 lists": (SUPPORT, _page("orders", _lines())),
    "5 lists sorted": (SUPPORT, _page("orders", _lines("first: 20, orderBy: [{name: ASC}]"))),
    "5 lists filtered": (SUPPORT, _page("orders", _lines("first: 20, where: {quantity: {gt: 0}}"))),
    "5 lists counted": (SUPPORT, _page("orders", _lines(fields="totalCount"))),
    "a count of all that one may see": (SUPPORT, "{ orders { totalCount } }"),
    "a count of every row": (OFFICER, "{ orders { totalCount } }"),
    "a count with a comparison": (SUPPORT, "{ orders(where: {version: {gt: 0}}) { totalCount } }"),
    "a count with a condition on lines": (
        SUPPORT,
        "{ orders(where: {lines: {some: {quantity: {gt: 0}}}}) { totalCount } }",
    ),
    "a page that nothing fits": (SUPPORT, _page("orders", "", 1, where="{version: {gt: 999}}")),
    "one row by a sort": (SUPPORT, _page("orders", "", 1, orderBy="[{total: ASC}]")),
    "one row by two keys": (SUPPORT, _page("orders", "", 1, orderBy="[{paymentMethod: ASC}, {total: ASC}]")),
}


async def measured(place: Place) -> None:
    """Prints the least time of each statement, and its price."""
    gateway = create_gateway(place.settings)
    connection = await asyncpg.connect(place.owner_url, server_settings={"jit": "off", "timezone": "UTC"})
    carrier = await connection.fetchval("SELECT carrier_id FROM delivery GROUP BY 1 ORDER BY count(*) DESC")
    try:
        for name, ((role, purpose), document) in ASKED.items():
            who = Principal(role, id="nobody", carrier_id=carrier if role == "carrier" else None)
            took, cost = await _statement(gateway, connection, who, purpose, document)
            print(f"{name:40} {took * 1e6:9,.0f} µs {cost:9,}")
    finally:
        await connection.close()
        await gateway.database.close()


async def _statement(
    gateway: Gateway, connection: Any, who: Principal, purpose: str | None, document: str
) -> tuple[float, int]:
    operation = parse_operation(document, None, gateway.model.graphql, gateway.settings)
    variables = coerce(operation, {}, gateway.model.graphql, gateway.settings)
    access = Access(gateway.policy.grants(who.role, purpose), Scope.ACCOUNT)
    made_plan = plan(operation, variables, access, gateway.model, gateway.settings)
    statement = compile_plan(made_plan, Unrecorded())
    if made_plan.refusals or not isinstance(statement, Statement):
        raise AssertionError(f"{made_plan.refusals} of {document}")
    named = bound_values(who, utc_now(), gateway.constants, {}) | {"event_row": None}
    bound = statement.values(named, variables, gateway.settings)
    prepared = await connection.prepare(statement.sql)
    taken = []
    for _ in range(WARM + RUNS):
        started = time.perf_counter()
        await prepared.fetchrow(*bound)
        taken.append(time.perf_counter() - started)
    return min(taken[WARM:]), made_plan.cost


def main() -> None:
    """Measures at a place of its own."""
    with made(int(sys.argv[1]) if len(sys.argv) > 1 else CUSTOMERS, None) as place:
        asyncio.run(measured(place))


if __name__ == "__main__":
    main()
