"""Rows of others: no id, number, cursor, count or cached plan tells of a row that the caller may not see."""

from __future__ import annotations

import base64
import itertools
import random
import re
from typing import Any
from uuid import UUID

import pytest

from schema.fields import ToMany
from schema.model import Entity
from schema.scalars import global_id
from tests.naive_rules import Asker, Register, Row
from tests.test_attacks import ENTITIES, LIST_OF, MODEL, PERSONAL, comparisons, everybody, ids_of, related
from tests.world import World

ABSENT = UUID("01900000-abcd-7000-8000-00000000abcd")
# Everybody whose row rules differ, with the purpose that opens most of their types.
OPENING = {
    **dict.fromkeys(("anonymous", "customer", "one-order", "undesignated", "warehouse", "marketing")),
    **dict.fromkeys(("carrier", "newsletter", "finance")),
    "support": "customer-service",
}


def register_of(world: World, name: str, purpose: str | None = None) -> Register:
    """The rows as the asker may see them, by the matrix."""
    who = world.askers[name]
    asker = Asker(
        who.role, who.customer_id, who.order_id, who.carrier_id, purpose, who.employee_id, who.token_id
    )
    return Register(world.rows(), asker, world.now)


def test_a_cursor_holds_an_id_and_nothing_else(world: World) -> None:
    """Every cursor is the global id of its row, whatever the list is sorted by."""
    for _, field in (parameter.values for parameter in PERSONAL):
        entity, root = (
            MODEL.entities[field.coordinate.partition(".")[0]],
            LIST_OF.get(str(field.coordinate).partition(".")[0]),
        )
        if root is None or not comparisons(entity, field):
            continue
        document = (
            f"{{ {root}(first: 3, orderBy: {{{field.name}: DESC}}) "
            "{ edges { cursor node { id } } pageInfo { startCursor endCursor } } }"
        )
        _, body = world.ask("privacy-officer", document, purpose="subject-rights")
        found = body["data"][root]
        cursors = [edge["cursor"] for edge in found["edges"]]
        assert cursors == [edge["node"]["id"] for edge in found["edges"]]
        assert found["pageInfo"] == {"startCursor": cursors[0], "endCursor": cursors[-1]}
        for cursor in cursors:
            assert re.fullmatch(rf"{entity.name}:[0-9a-f-]{{36}}", base64.b64decode(cursor).decode())


def test_a_count_is_of_the_rows_that_the_caller_may_see(world: World) -> None:
    """`totalCount` obeys the row rules of everybody, filtered or not."""
    for name, purpose, rights in everybody(world):
        register = register_of(world, name, purpose)
        for entity, root in LIST_OF.items():
            if rights.may_reach(entity):
                data = world.data(name, f"{{ {root} {{ totalCount }} }}", None, purpose)
                assert data[root]["totalCount"] == len(register.visible_rows(entity)), (name, root)


# ---------------------------------------------------------------- rows of others

BY_ID = [
    "query($id: ID!) { node(id: $id) { id __typename } }",
    "query($id: ID!) { nodes(ids: [$id, $id]) { id } }",
]


def by_id(entity: Entity) -> list[str]:
    """Every operation that finds or uses a row by its global id."""
    found = [*BY_ID]
    if root := LIST_OF.get(entity.name):
        found.append(
            f"query($id: ID!) {{ {root}(where: {{id: {{in: [$id]}}}}) {{ totalCount nodes {{ id }} }} }}"
        )
        found.append(f"query($id: ID!) {{ {root}(where: {{not: {{id: {{eq: $id}}}}}}) {{ totalCount }} }}")
        found.append(f"query($id: ID!) {{ {root}(after: $id) {{ nodes {{ id }} }} }}")
    for lookup, (target, _) in MODEL.lookups.items():
        if target == entity.name:
            found.append(f"query($id: ID!) {{ {lookup}(id: $id) {{ id }} }}")
    for parent, field in related(entity):
        inner = "{some: {id: {eq: $id}}}" if isinstance(field.source, ToMany) else "{id: {eq: $id}}"
        root = LIST_OF[parent.name]
        found.append(f"query($id: ID!) {{ {root}(where: {{{field.name}: {inner}}}) {{ totalCount }} }}")
    return found


def hidden_rows(world: World, name: str, purpose: str | None, entity: Entity) -> list[Row]:
    """Up to two rows that do not exist for the asker: one of their own account, and any."""
    register, customer = register_of(world, name, purpose), world.askers[name].customer_id
    rows = [row for row in register.rows[entity.name].values() if not register.visible(entity.name, row)]
    mine = [row for row in rows if row.get("customer_id", row["id"]) == customer]
    return [*mine[:1], *random.Random(1).sample(rows, min(1, len(rows)))]


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_row_of_others_is_answered_like_no_row_at_all(world: World, entity: Entity) -> None:
    """A guessed or shared id of a row the caller may not see gives the bytes that an absent id gives."""
    documents = by_id(entity)
    for name, purpose in OPENING.items():
        rows = hidden_rows(world, name, purpose, entity)
        for document in documents if rows else ():
            absent = world.post(name, document, {"id": global_id(entity.name, ABSENT)}, purpose)
            for row in rows:
                found = world.post(name, document, {"id": global_id(entity.name, row["id"])}, purpose)
                assert (found.status_code, found.content) == (absent.status_code, absent.content), name


@pytest.mark.parametrize(
    ("lookup", "argument"),
    [
        (lookup, argument)
        for lookup, (_, names) in MODEL.lookups.items()
        for argument in names
        if argument != "id"
    ],
)
def test_a_number_of_others_is_answered_like_no_number_at_all(
    world: World, lookup: str, argument: str
) -> None:
    """A look-up by another's order number, e-mail or tracking code gives the bytes of one nobody has."""
    target, columns = MODEL.lookups[lookup]
    document = f"query($key: String) {{ {lookup}({argument}: $key) {{ id }} }}"
    for name, purpose in OPENING.items():
        register = register_of(world, name, purpose)
        rows = [row for row in register.rows[target].values() if row[columns[argument]]]
        seen = {row[columns[argument]] for row in rows if register.visible(target, row)}
        others = sorted({row[columns[argument]] for row in rows} - seen)
        absent = world.post(name, document, {"key": "nobody has this"}, purpose).content
        for key in others[:3]:
            assert world.post(name, document, {"key": key}, purpose).content == absent


# ---------------------------------------------------------------- one plan for two

PLANNED: list[tuple[str, list[dict[str, Any]]]] = [
    (
        "query($n: Int, $b: Int) { deliveries(first: $n, last: $b) "
        "{ nodes { id recipientPhone streetAddress } } }",
        [{}, {"n": 1}, {"n": 2}, {"b": 2}, {"n": None, "b": 1}],
    ),
    (
        "query($a: Boolean!, $b: Boolean!) { customers(first: 2) { nodes { id @skip(if: $a) "
        "email @include(if: $b) ... @skip(if: $b) { phone firstName } } totalCount } }",
        [{"a": one, "b": other} for one in (True, False) for other in (True, False)],
    ),
    (
        "query($w: OrderWhere) { orders(where: $w, first: 3) { totalCount nodes { number } } }",
        [
            *({}, {"w": None}, {"w": {}}, {"w": {"or": []}}, {"w": {"and": []}}, {"w": {"not": {}}}),
            *({"w": {"status": {"eq": state}}} for state in ("PLACED", "COMPLETED")),
            *({"w": {"status": {"in": states}}} for states in ([], ["PAID"], ["PAID", "PLACED"])),
            *({"w": {"internalNote": {"isNull": truth}}} for truth in (True, False)),
            *({"w": {key: [{"number": {"startsWith": "O"}}, {}]}} for key in ("and", "or")),
            *({"w": {"lines": {key: {"quantity": {"gt": 1}}}}} for key in ("some", "none")),
        ],
    ),
    (
        "query($o: [OrderOrderBy!]) { orders(orderBy: $o, first: 4) { nodes { number billingName } } }",
        [
            *({}, {"o": []}, {"o": [{"number": "ASC"}]}, {"o": [{"number": "DESC"}]}),
            *({"o": [{"total": "ASC"}, {"id": "ASC"}]}, {"o": [{"id": "ASC"}, {"total": "ASC"}]}),
        ],
    ),
]


def test_a_plan_is_used_for_nothing_but_what_it_was_made_for(world: World) -> None:
    """One text asked by everybody in any order with other variables answers as a text never seen before."""
    ids = {name: ids_of(world, MODEL.entities[name], 2) for name in ("Customer", "Carrier", "Order")}
    mixed = [{"ids": [*one, *other]} for one, other in itertools.permutations(ids.values(), 2)]
    by_node = (
        "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Order { number } ... on Customer { email } } }"
    )
    planned = [*PLANNED, (by_node, [*mixed, *({"ids": each} for each in ids.values()), {"ids": []}])]
    cases = [
        (name, purpose, document, variables)
        for name, purpose, _ in everybody(world)
        for document, many in planned
        for variables in many
    ]
    marks = itertools.count()
    for name, purpose, document, variables in random.Random(2).sample(cases, 250):
        warm = world.post(name, document, variables, purpose)
        cold = world.post(name, f"{document} # {next(marks)}", variables, purpose)
        assert warm.json() == cold.json(), (name, purpose, document, variables)
