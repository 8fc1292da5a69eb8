"""Who is shown which look-ups and disclosures: customers no names, the privacy officer all of them."""

from __future__ import annotations

from typing import Any

import pytest

from schema.scalars import global_id
from tests.world import World

OFFICER = "privacy-officer"
DEMANDED = "authority-request"
OWN = "id at role purpose fields"
HIDDEN = [
    *("principalId", "designation { id }", "caseReference", "operation", "subjectIds"),
    *("policyVersion", "requestId", "decision"),
]
OF_OFFICER = ["statute", "requester", "caseNumber", "noticeStatus", "visibleToSubject"]


def ids(world: World, name: str, root: str, purpose: str | None = None, given: str = "") -> set[str]:
    """The ids of every page, whose number is the total's."""
    found: set[str] = set()
    total, after = None, ""
    while total is None or after:
        fields = "totalCount pageInfo { hasNextPage endCursor } nodes { id }"
        page = world.data(name, f"{{ {root}(first: 100{after}{given}) {{ {fields} }} }}", None, purpose)[root]
        found |= {one["id"] for one in page["nodes"]}
        total = page["totalCount"] if total is None else total
        info = page["pageInfo"]
        after = f', after: "{info["endCursor"]}"' if info["hasNextPage"] else ""
    assert total == len(found)
    return found


def listed(type_name: str, rows: list[dict[str, Any]]) -> set[str]:
    return {global_id(type_name, row["id"]) for row in rows}


def hidden_demand(world: World) -> str:
    """A disclosure of the first customer's to an authority that they are not to see."""
    mine = world.askers["customer"].customer_id
    rows = [row for row in world.rows()["disclosure"] if row["customer_id"] == mine]
    (found,) = [row for row in rows if not row["visible_to_subject"]]
    assert any(row["statute"] is not None for row in rows if row["visible_to_subject"])
    return global_id("Disclosure", found["id"])


def refusals(world: World, name: str, document: str, purpose: str | None = None) -> set[tuple[str, str]]:
    _, body = world.ask(name, document, None, purpose)
    found = [error["extensions"] for error in body.get("errors", [])]
    return {(one["code"], one["coordinate"]) for one in found}


# ---------------------------------------------------------------- look-ups


@pytest.mark.parametrize("name", ["customer", "customer-2"])
def test_a_customer_sees_the_look_ups_that_were_made_of_them_and_no_others(world: World, name: str) -> None:
    mine = world.askers[name].customer_id
    rows = [row for row in world.rows()["access_record"] if mine in row["subject_ids"]]
    told = [row for row in rows if row["purpose"] != DEMANDED]
    made = [row for row in told if row["decision"] == "ALLOWED"]
    assert 0 < len(made) < len(world.rows()["access_record"])
    assert ids(world, name, "accessRecords") == listed("AccessRecord", made)


def test_a_refused_look_up_showed_nothing_and_is_not_listed(world: World) -> None:
    mine = world.askers["customer"].customer_id
    rows = [row for row in world.rows()["access_record"] if row["decision"] == "REFUSED"]
    of_mine = [row for row in rows if mine in row["subject_ids"]]
    assert of_mine
    for row in of_mine:
        shown = global_id("AccessRecord", row["id"])
        assert world.data("customer", f'{{ node(id: "{shown}") {{ id }} }}') == {"node": None}


def test_a_look_up_for_an_authority_is_as_if_it_were_not_there(world: World) -> None:
    """In lists, counts, by its id, among several ids, and as a cursor."""
    mine = world.askers["customer"].customer_id
    rows = [row for row in world.rows()["access_record"] if mine in row["subject_ids"]]
    hidden = min(listed("AccessRecord", [row for row in rows if row["purpose"] == DEMANDED]))
    assert hidden not in ids(world, "customer", "accessRecords")
    given = f', where: {{purpose: {{eq: "{DEMANDED}"}}}}'
    assert ids(world, "customer", "accessRecords", given=given) == set()
    nobody = global_id("AccessRecord", "00000000-0000-4000-8000-000000000000")
    asked = ["{ node(id: %s) { id } }", "{ nodes(ids: [%s]) { id } }"]
    asked += [
        "{ accessRecords(after: %s) { nodes { id } } }",
        "{ accessRecords(before: %s) { nodes { id } } }",
    ]
    for document in asked:
        answers = [world.post("customer", document % f'"{one}"').text for one in (hidden, nobody)]
        assert answers[0] == answers[1]


def test_a_customer_is_shown_role_purpose_time_and_fields(world: World) -> None:
    nodes = world.data("customer", f"{{ accessRecords {{ nodes {{ {OWN} }} }} }}")["accessRecords"]["nodes"]
    rows = {global_id("AccessRecord", row["id"]): row for row in world.rows()["access_record"]}
    for node in nodes:
        row = rows[node["id"]]
        assert [node[name] for name in ("role", "purpose", "fields")] == [
            row[name] for name in ("role", "purpose", "fields")
        ]
        assert node["at"] == row["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize("field", HIDDEN)
def test_a_customer_is_not_shown_who_it_was_and_may_not_look_for_it(world: World, field: str) -> None:
    name = field.partition(" ")[0]
    wanted = {("FIELD_FORBIDDEN", f"AccessRecord.{name}")}
    assert refusals(world, "customer", f"{{ accessRecords {{ nodes {{ {field} }} }} }}") == wanted
    someone = global_id("Customer", world.rows()["customer"][0]["id"])
    if name not in ("operation",):
        operator = "{}" if "{" in field else "{isNull: false}"
        operator = f'{{contains: "{someone}"}}' if name == "subjectIds" else operator
        document = f"{{ accessRecords(where: {{{name}: {operator}}}) {{ totalCount }} }}"
        assert refusals(world, "customer", document) == wanted


def test_a_token_for_one_order_shows_neither_look_ups_nor_disclosures(world: World) -> None:
    assert ids(world, "one-order", "accessRecords") == set()
    assert ids(world, "one-order", "disclosures") == set()


@pytest.mark.parametrize(
    "name", ["support", "register-admin", "warehouse", "finance", "carrier", "anonymous"]
)
def test_nobody_else_sees_look_ups(world: World, name: str) -> None:
    wanted = {("FIELD_FORBIDDEN", "Query.accessRecords")}
    assert refusals(world, name, "{ accessRecords { totalCount } }") == wanted


def test_the_privacy_officer_finds_who_looked_at_one_customer(world: World) -> None:
    mine = world.askers["customer"].customer_id
    world.forget()
    known = listed("AccessRecord", world.rows()["access_record"])
    rows = [row for row in world.rows()["access_record"] if mine in row["subject_ids"]]
    someone = global_id("Customer", str(mine))
    given = f', where: {{subjectIds: {{contains: "{someone}"}}}}'
    # Whoever reads the records is recorded too.
    assert ids(world, OFFICER, "accessRecords", given=given) & known == listed("AccessRecord", rows)
    nobody = global_id("Customer", "00000000-0000-4000-8000-000000000000")
    assert ids(world, OFFICER, "accessRecords", given=given.replace(someone, nobody)) == set()
    others = [row for row in world.rows()["access_record"] if mine not in row["subject_ids"]]
    without = f', where: {{not: {{subjectIds: {{contains: "{someone}"}}}}}}'
    # What was asked here is on the record by now too.
    known = listed("AccessRecord", world.rows()["access_record"])
    assert ids(world, OFFICER, "accessRecords", given=without) & known == listed("AccessRecord", others)


def test_what_is_looked_for_in_subjects_is_a_customer(world: World) -> None:
    for given in (f'"{global_id("Employee", "00000000-0000-4000-8000-000000000000")}"', '"nonsense"'):
        document = f"{{ accessRecords(where: {{subjectIds: {{contains: {given}}}}}) {{ totalCount }} }}"
        _, body = world.ask(OFFICER, document)
        assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_ID"]


def test_the_privacy_officer_sees_who_it_was_under_which_designation_for_which_case(world: World) -> None:
    document = """{ accessRecords(orderBy: [{at: ASC}], where: {caseReference: {isNull: false}}, first: 1) {
      nodes { principalId designation { role employee { id } } caseReference operation subjectIds decision }
    } }"""
    (node,) = world.data(OFFICER, document)["accessRecords"]["nodes"]
    rows = [row for row in world.rows()["access_record"] if row["case_reference"] is not None]
    row = min(rows, key=lambda row: row["at"])
    assert node == {
        "principalId": row["principal_id"],
        "designation": {"role": row["role"], "employee": {"id": row["principal_id"]}},
        "caseReference": row["case_reference"],
        "operation": f"{row['operation_name']} sha256:{row['operation_hash']}",
        "subjectIds": [global_id("Customer", key) for key in row["subject_ids"]],
        "decision": row["decision"],
    }


# ---------------------------------------------------------------- disclosures


def test_a_hidden_disclosure_is_as_if_it_were_not_there(world: World) -> None:
    """In lists, counts, by its id, among several ids, and as a cursor."""
    hidden = hidden_demand(world)
    mine = world.askers["customer"].customer_id
    rows = [row for row in world.rows()["disclosure"] if row["customer_id"] == mine]
    visible = [row for row in rows if row["visible_to_subject"]]
    assert ids(world, "customer", "disclosures") == listed("Disclosure", visible)
    demanded = ', where: {purpose: {eq: "authority-request"}}'
    assert len(ids(world, "customer", "disclosures", given=demanded)) == 1
    nobody = global_id("Disclosure", "00000000-0000-4000-8000-000000000000")
    asked = ["{ node(id: %s) { id } }", "{ nodes(ids: [%s]) { id } }"]
    asked += ["{ disclosures(after: %s) { nodes { id } } }", "{ disclosures(before: %s) { nodes { id } } }"]
    for document in asked:
        answers = [world.post("customer", document % f'"{one}"').text for one in (hidden, nobody)]
        assert answers[0] == answers[1]
    _, body = world.ask("customer", asked[2] % f'"{hidden}"')
    assert body["errors"][0]["extensions"]["code"] == "BAD_CURSOR"
    assert world.data(OFFICER, asked[0] % f'"{hidden}"') == {"node": {"id": hidden}}


def test_disclosures_of_others_are_never_a_customers(world: World) -> None:
    first, second = (ids(world, name, "disclosures") for name in ("customer", "customer-2"))
    assert first
    assert second
    assert not first & second


@pytest.mark.parametrize("field", OF_OFFICER)
def test_what_an_authority_said_is_the_privacy_officers_alone(world: World, field: str) -> None:
    document = f"{{ disclosures {{ nodes {{ {field} }} }} }}"
    wanted = {("FIELD_FORBIDDEN", f"Disclosure.{field}")}
    for name, purpose in (("customer", None), ("support", "customer-service"), ("register-admin", None)):
        assert refusals(world, name, document, purpose) == wanted
    assert refusals(world, OFFICER, document) == set()


def test_support_sees_to_whom_data_went_for_a_customer_who_asks_and_not_of_the_restricted(
    world: World,
) -> None:
    document = "{ disclosures { totalCount } }"
    wanted = {("PURPOSE_REQUIRED", "Query.disclosures")}
    assert refusals(world, "support", document) == wanted
    restricted = {row["id"] for row in world.rows()["customer"] if row["restricted_at"] is not None}
    rows = world.rows()["disclosure"]
    others = [row for row in rows if row["customer_id"] not in restricted]
    assert len(others) < len(rows)
    for name, purpose in (("support", "customer-service"), ("register-admin", None)):
        assert ids(world, name, "disclosures", purpose) == listed("Disclosure", others)
    assert ids(world, OFFICER, "disclosures") == listed("Disclosure", rows)
    fields = "{ disclosures { nodes { fields } } }"
    assert refusals(world, "support", fields, "customer-service") == {
        ("FIELD_FORBIDDEN", "Disclosure.fields")
    }
