"""The naive twin against cases worked out by hand: who may see which row and field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.naive import expected
from tests.naive_rows import (
    ADMIN,
    AINO,
    ANONYMOUS,
    CARRIER,
    CUSTOMER,
    DAY,
    DHL,
    FINANCE,
    MARKETING,
    MIKA,
    MOMENT,
    NEWSLETTER,
    NOW,
    OFFICER,
    ONE_ORDER,
    POSTI,
    ROWS,
    SERVING,
    SUPPORT,
    UNDESIGNATED,
    VILLE,
    WAREHOUSE,
    an_id,
    ask,
    cells,
    delivery,
    first_root,
    key,
    numbers,
)
from tests.naive_rules import MATRIX, Asker


def test_every_shows_every_row_and_all_leaves_out_a_restricted_customer() -> None:
    assert numbers(OFFICER, "customers") == [4, 3, 2, 1]
    assert numbers(SUPPORT, "customers") == [4, 3, 1]
    assert numbers(OFFICER, "orders") == [16, 15, 14, 13, 12, 11]
    assert numbers(SUPPORT, "orders") == [16, 15, 14, 12, 11]
    assert numbers(ANONYMOUS, "carriers") == [92, 91]


def test_own_shows_the_callers_rows_and_is_not_narrowed_by_restriction() -> None:
    assert numbers(CUSTOMER, "orders") == [12, 11]
    assert numbers(CUSTOMER, "customers") == [1]
    assert numbers(Asker("customer", customer_id=key(VILLE)), "orders") == [13]


def test_a_one_order_token_shows_that_order_and_what_belongs_to_it() -> None:
    assert numbers(ONE_ORDER, "orders") == [12]
    assert numbers(ONE_ORDER, "deliveries") == [35, 32]
    assert numbers(ONE_ORDER, "returns") == [52]
    assert numbers(ONE_ORDER, "customers") == []
    ids = [
        an_id("OrderLine", 22),
        an_id("OrderLine", 21),
        an_id("DeliveryEvent", 43),
        an_id("ReturnLine", 62),
    ]
    ids += [an_id("DeliveryEvent", 41), an_id("ConsentEvent", 81)]
    found = first_root(ONE_ORDER, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert [node and node["id"] for node in found] == [ids[0], None, ids[2], ids[3], None, None]


def test_open_orders_are_those_with_something_left_to_do() -> None:
    assert numbers(WAREHOUSE, "orders") == [15, 14, 11]
    assert numbers(WAREHOUSE, "deliveries") == [36, 34, 31]
    assert numbers(WAREHOUSE, "returns") == [51]
    found = first_root(
        WAREHOUSE,
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        ids=[an_id("OrderLine", 21), an_id("OrderLine", 22), an_id("OrderLine", 23), an_id("ReturnLine", 61)],
    )
    assert [node is not None for node in found] == [True, False, False, True]


def test_consented_is_decided_by_the_newest_event_and_then_by_its_id() -> None:
    assert numbers(MARKETING, "customers") == [1]
    assert numbers(NEWSLETTER, "customers") == [1]
    assert cells(SERVING, "customers", "marketingConsent") == [True, True, False]


def test_assigned_shows_a_carrier_its_deliveries_until_ninety_days_after_their_end() -> None:
    assert numbers(CARRIER, "deliveries") == [32, 31]
    last = NOW + 61 * DAY - MOMENT
    assert numbers(CARRIER, "deliveries", "", last) == [32, 31]
    assert numbers(CARRIER, "deliveries", "", last + MOMENT) == [31]
    handed_over_end = NOW - DAY + 60 * DAY + 90 * DAY
    assert numbers(CARRIER, "deliveries", "", handed_over_end - MOMENT) == [31]
    assert numbers(CARRIER, "deliveries", "", handed_over_end) == []


def test_a_delivery_that_was_never_handed_over_ends_120_days_after_it_was_made() -> None:
    rows = ROWS | {"delivery": [delivery(31, AINO, 11, POSTI, "READY")]}
    document = "{ deliveries { totalCount } }"
    end = NOW - 5 * DAY + 210 * DAY
    shown = [expected(rows, CARRIER, now, document, {}).data for now in (end - MOMENT, end)]
    assert shown == [{"deliveries": {"totalCount": 1}}, {"deliveries": {"totalCount": 0}}]


def test_a_carrier_sees_the_address_for_thirty_days_and_a_needed_contact_for_three() -> None:
    assert cells(CARRIER, "deliveries", "streetAddress") == ["Katu 1", "Katu 1"]
    assert cells(CARRIER, "deliveries", "streetAddress", NOW + DAY) == ["Katu 1", None]
    assert cells(CARRIER, "deliveries", "recipientPhone") == ["+358401234567", None]
    assert cells(CARRIER, "deliveries", "recipientEmail") == [None, None]
    dhl = replace(CARRIER, carrier_id=key(DHL))
    assert cells(dhl, "deliveries", "recipientEmail", NOW + 2 * DAY - MOMENT) == ["a@b.example"]
    assert cells(dhl, "deliveries", "recipientEmail", NOW + 2 * DAY) == [None]
    assert cells(dhl, "deliveries", "recipientPhone") == [None]


def test_delivery_events_follow_the_assigned_delivery() -> None:
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on DeliveryEvent { place } } }"
    ids = [an_id("DeliveryEvent", number) for number in (41, 42, 43)]
    assert first_root(CARRIER, document, ids=ids) == [{"place": "Vantaa"}, None, None]


def test_self_shows_a_carrier_its_own_contact_and_names_the_rest_as_withheld() -> None:
    answer = ask(CARRIER, "{ carriers { nodes { name contactEmail } } }")
    assert answer.data == {
        "carriers": {
            "nodes": [
                {"name": "DHL", "contactEmail": None},
                {"name": "Posti", "contactEmail": "Posti@carrier.example"},
            ]
        }
    }
    assert answer.withheld == ["Carrier.contactEmail"]


def test_linked_withholds_the_billing_name_of_an_erased_customer() -> None:
    assert cells(SERVING, "orders", "billingName") == [
        "Aino Mäki",
        "Aino Mäki",
        None,
        "Aino Mäki",
        "Aino Mäki",
    ]
    assert ask(SERVING, "{ orders { nodes { billingName number } } }").withheld == ["Order.billingName"]
    assert ask(CARRIER, "{ deliveries { nodes { id recipientName } } }").withheld == [
        "Delivery.recipientName"
    ]
    assert ask(SUPPORT, "{ deliveries { nodes { recipientName } } }").withheld == []


def test_masks_leave_what_they_may_and_a_null_stays_null() -> None:
    assert cells(SUPPORT, "customers", "phone") == ["***67", None, "***67"]
    assert cells(SUPPORT, "customers", "email") == ["***@***", None, "***@***"]
    assert cells(SUPPORT, "customers", "firstName") == ["***", None, "***"]
    assert cells(SERVING, "customers", "firstName") == ["Aino", None, "Mika"]
    assert cells(MARKETING, "customers", "email") == ["***@***"]
    assert cells(CUSTOMER, "returns", "refundIban") == ["***0785"]


def test_a_refused_field_is_null_and_nothing_under_it_is_judged() -> None:
    answer = ask(MARKETING, "{ customers { nodes { n: number orders { nodes { internalNote } } } } }")
    assert answer.data == {"customers": {"nodes": [{"n": None, "orders": None}]}}
    assert answer.refused == {
        ("FIELD_FORBIDDEN", "Customer.number", None),
        ("FIELD_FORBIDDEN", "Customer.orders", None),
    }


def test_a_field_granted_for_another_purpose_asks_for_the_purpose() -> None:
    answer = ask(SUPPORT, "{ customers { nodes { streetAddress restrictedAt consents { totalCount } } } }")
    assert answer.refused == {
        ("PURPOSE_REQUIRED", "Customer.streetAddress", None),
        ("PURPOSE_REQUIRED", "Customer.consents", None),
        ("FIELD_FORBIDDEN", "Customer.restrictedAt", None),
    }
    assert ask(FINANCE, "{ orders { nodes { billingName } } }").refused == {
        ("PURPOSE_REQUIRED", "Order.billingName", None)
    }


def test_a_type_that_is_not_granted_refuses_the_field_that_leads_to_it() -> None:
    assert ask(CARRIER, "{ customers { totalCount } }").refused == {
        ("FIELD_FORBIDDEN", "Query.customers", None)
    }
    answer = ask(SUPPORT, "query ($id: ID!) { node(id: $id) { id } }", id=an_id("ConsentEvent", 81))
    assert answer.refused == {("PURPOSE_REQUIRED", "Query.node", None)}
    answer = ask(
        CARRIER,
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        ids=[an_id("Carrier", POSTI), an_id("Customer", AINO)],
    )
    assert (answer.data, answer.refused) == ({"nodes": None}, {("FIELD_FORBIDDEN", "Query.nodes", None)})


def test_self_shows_an_employee_themselves_and_their_designations() -> None:
    assert numbers(SUPPORT, "employees") == [71]
    assert numbers(SUPPORT, "designations") == [74]
    document = "{ designations { nodes { employee { name } designatedBy { name } } } }"
    (node,) = first_root(SUPPORT, document)["nodes"]
    assert node == {"employee": {"name": "pekka"}, "designatedBy": None}


def test_administrators_and_the_privacy_officer_see_every_designation() -> None:
    for asker in (ADMIN, OFFICER):
        assert numbers(asker, "employees") == [72, 71]
        assert numbers(asker, "designations") == [74, 73]
    assert numbers(ADMIN, "designations", '(where: {designatedBy: {name: {eq: "riitta"}}})') == [74]


def test_an_employee_without_designation_is_refused_everything() -> None:
    answer = ask(UNDESIGNATED, "{ __typename carriers { totalCount } }")
    assert answer.data == {"__typename": "Query", "carriers": None}
    assert answer.refused == {("FIELD_FORBIDDEN", "Query.carriers", None)}


def test_a_node_is_judged_by_the_type_its_id_names() -> None:
    document = (
        "query ($id: ID!) { node(id: $id) { id ... on Customer { email } ... on Order { internalNote } } }"
    )
    answer = ask(CUSTOMER, document, id=an_id("Order", 11))
    assert answer.data == {"node": {"id": an_id("Order", 11), "internalNote": None}}
    assert answer.refused == {("FIELD_FORBIDDEN", "Order.internalNote", None)}
    assert ask(CUSTOMER, document, id=an_id("Order", 13)).refused == answer.refused
    assert ask(CUSTOMER, document, id=an_id("Order", 13)).data == {"node": None}


@pytest.mark.parametrize(
    ("asker", "arguments", "entry"),
    [
        (SUPPORT, 'where: {email: {eq: "x"}}', ("PURPOSE_REQUIRED", "Customer.email", "FILTER")),
        (
            SERVING,
            "where: {restrictedAt: {isNull: true}}",
            ("FIELD_FORBIDDEN", "Customer.restrictedAt", "FILTER"),
        ),
        (SUPPORT, "orderBy: [{surname: ASC}]", ("PURPOSE_REQUIRED", "Customer.surname", "SORT")),
        (
            MARKETING,
            "where: {not: {or: [{email: {in: []}}]}}",
            ("FIELD_FORBIDDEN", "Customer.email", "FILTER"),
        ),
        (MARKETING, "where: {orders: {some: {}}}", ("FIELD_FORBIDDEN", "Customer.orders", "FILTER")),
        (SUPPORT, "where: {consents: {none: {}}}", ("PURPOSE_REQUIRED", "Customer.consents", "FILTER")),
        (
            SERVING,
            'where: {orders: {some: {billingName: {eq: "x"}}}}',
            ("FIELD_FORBIDDEN", "Order.billingName", "FILTER"),
        ),
    ],
)
def test_a_refused_condition_nulls_its_root(
    asker: Asker, arguments: str, entry: tuple[str, str, str]
) -> None:
    answer = ask(asker, f"{{ customers({arguments}) {{ totalCount }} carriers {{ totalCount }} }}")
    assert answer.data == {"customers": None, "carriers": {"totalCount": 2}}
    assert answer.refused == {entry}
    assert answer.perhaps == frozenset()


def test_what_else_is_found_in_a_root_with_a_refused_condition_is_only_perhaps_reported() -> None:
    document = """{
      customers {
        nodes { restrictedAt orders(where: {billingName: {isNull: true}}) { nodes { billingName } } }
      }
      orders { nodes { customer { restrictedAt } } }
    }"""
    answer = ask(SERVING, document)
    assert answer.data is not None
    assert answer.data["customers"] is None
    assert answer.data["orders"] is not None
    assert answer.refused == {
        ("FIELD_FORBIDDEN", "Order.billingName", "FILTER"),
        ("FIELD_FORBIDDEN", "Customer.restrictedAt", None),
    }
    assert answer.perhaps == frozenset()
    assert answer.perhaps_withheld == {"Order.billingName"}


def test_customer_orders_are_granted_exactly_as_order_customer() -> None:
    for role in ("support", "register_admin", "customer", "privacy_officer", "marketing", "newsletter"):
        assert MATRIX[role, "Customer.orders"] == MATRIX[role, "Order.customer"]


def test_a_customer_sees_the_look_ups_that_showed_something_of_theirs() -> None:
    assert numbers(CUSTOMER, "accessRecords") == [101]
    assert numbers(ONE_ORDER, "accessRecords") == []
    assert numbers(OFFICER, "accessRecords") == [104, 103, 102, 101]
    mika = f'(where: {{subjectIds: {{contains: "{an_id("Customer", MIKA)}"}}}})'
    assert numbers(OFFICER, "accessRecords", mika) == [101]


def test_a_disclosure_is_hidden_from_its_customer_where_it_is_marked_and_of_the_restricted_from_others() -> (
    None
):
    assert numbers(CUSTOMER, "disclosures") == [111]
    assert numbers(ONE_ORDER, "disclosures") == []
    assert numbers(SERVING, "disclosures") == [114, 112, 111]
    assert numbers(OFFICER, "disclosures") == [114, 113, 112, 111]


def test_a_customer_sees_what_they_asked_and_what_is_held_and_a_link_to_an_order_what_is_of_it() -> None:
    for root, ten in (("subjectRequests", 120), ("legalHolds", 130)):
        assert numbers(CUSTOMER, root) == [ten + 2, ten + 1]
        assert numbers(ONE_ORDER, root) == [ten + 2]
        assert numbers(OFFICER, root) == [ten + 4, ten + 3, ten + 2, ten + 1]
        assert numbers(ADMIN, root) == [ten + 4, ten + 2, ten + 1]
    document = "{ subjectRequests(first: 1) { nodes { retained { until coordinate } notified } } }"
    assert first_root(OFFICER, document)["nodes"] == [
        {"retained": [{"until": "2030-12-31", "coordinate": "Order.billingName"}], "notified": ["Posti"]}
    ]
