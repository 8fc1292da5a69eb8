"""A small register made by hand: customers, orders, deliveries and returns of each kind that matters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.naive import Expected, expected
from tests.naive_query import global_id, read_global_id
from tests.naive_rules import Asker

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def key(number: int) -> UUID:
    return UUID(f"01900000-0000-7000-8000-{number:012d}")


def an_id(type_name: str, number: int) -> str:
    return global_id(type_name, key(number))


def customer(number: int, **columns: Any) -> dict[str, Any]:
    row = {"id": key(number), "number": f"C{number}", "first_name": "Aino", "surname": "Mäki"}
    row |= {"street_address": "Katu 1", "postal_code": "00100", "postal_town": "Helsinki"}
    row |= {"country_code": "FI", "phone": "+358 40 123 4567", "email": f"c{number}@store.example"}
    row |= {"marketing_consent": None, "unsubscribe_token": f"token{number}", "status": "ACTIVE"}
    row |= {"created_at": NOW - 90 * DAY, "last_active_at": NOW, "restricted_at": None, "erased_at": None}
    return row | {"version": 1} | columns


def consent(number: int, owner: int, state: str, at: datetime) -> dict[str, Any]:
    row = {"id": key(number), "customer_id": key(owner), "purpose": "NEWSLETTER", "state": state, "at": at}
    return row | {"source": "checkout", "notice_version": "1", "text_digest": "ab", "actor": "customer"}


def order(number: int, owner: int, status: str, **columns: Any) -> dict[str, Any]:
    row = {"id": key(number), "customer_id": key(owner), "number": f"O{number}", "placed_at": NOW - 9 * DAY}
    row |= {"status": status, "currency": "EUR", "total": Decimal("12.50"), "billing_name": "Aino Mäki"}
    row |= {"billing_street_address": "Katu 1", "billing_postal_code": "00100"}
    row |= {"billing_postal_town": "Helsinki", "billing_country_code": None, "payment_method": "CARD"}
    row |= {"payment_status": "PAID", "customer_message": None, "internal_note": "fragile", "version": 1}
    return row | columns


def order_line(number: int, owner: int, of: int) -> dict[str, Any]:
    row = {"id": key(number), "customer_id": key(owner), "order_id": key(of), "sku": f"S{number}"}
    row |= {"name": "Kettle", "quantity": number, "unit_price": Decimal("9.90"), "currency": "EUR"}
    return row | {"vat_rate": Decimal("25.50")}


def delivery(
    number: int, owner: int, of: int, carrier_number: int | None, status: str, **columns: Any
) -> dict[str, Any]:
    row = {"id": key(number), "customer_id": key(owner), "order_id": key(of), "reference": f"D{number}"}
    row |= {"carrier_id": key(carrier_number) if carrier_number else None, "status": status}
    row |= {"service_code": "home", "tracking_code": f"T{number}", "parcel_count": 1, "weight_grams": None}
    row |= {"recipient_name": "Aino", "recipient_phone": "+358401234567", "recipient_email": "a@b.example"}
    row |= {"street_address": "Katu 1", "postal_code": "00100", "postal_town": "Espoo", "country_code": "FI"}
    row |= {"pickup_point": None, "instructions": "ring", "promised_at": None, "signed_by": None}
    row |= {"created_at": NOW - 5 * DAY, "handed_over_at": None, "delivered_at": None, "returned_at": None}
    return row | {"lost_at": None, "version": 1} | columns


def delivery_event(number: int, owner: int, of: int) -> dict[str, Any]:
    row = {"id": key(number), "customer_id": key(owner), "delivery_id": key(of), "status": "IN_TRANSIT"}
    return row | {"occurred_at": NOW - DAY, "place": "Vantaa", "note": None, "idempotency_key": key(number)}


def a_return(number: int, owner: int, of: int, status: str, **columns: Any) -> dict[str, Any]:
    row = {"id": key(number), "customer_id": key(owner), "order_id": key(of), "number": f"R{number}"}
    row |= {"kind": "DEFECT", "status": status, "requested_at": NOW, "reason_code": None, "currency": "EUR"}
    row |= {"reason_text": "broken", "inspection_note": "dented", "refund_due_at": NOW + 14 * DAY}
    row |= {"refund_amount": None, "refunded_at": None, "refund_iban": "FI2112345600000785", "version": 1}
    return row | columns


def return_line(number: int, owner: int, of: int, line: int) -> dict[str, Any]:
    row = {"id": key(number), "customer_id": key(owner), "return_id": key(of)}
    return row | {"order_line_id": key(line), "quantity": 1}


def carrier(number: int, name: str) -> dict[str, Any]:
    return {"id": key(number), "name": name, "contact_email": f"{name}@carrier.example", "active": True}


def service(number: int, **needs: bool) -> dict[str, Any]:
    row = {"carrier_id": key(number), "code": "home", "needs_phone": False, "needs_email": False}
    return row | {"tracking_url": "https://track.example/{code}"} | needs


def employee(number: int, name: str) -> dict[str, Any]:
    return {"id": key(number), "name": name, "work_email": f"{name}@store.example", "active": True}


def designation(number: int, of: int, role: str, by: int | None) -> dict[str, Any]:
    row = {"id": key(number), "employee_id": key(of), "role": role, "reason": "test", "revoked_at": None}
    row |= {"designated_by": key(by) if by else None}
    return row | {"valid_from": NOW - DAY, "valid_to": NOW + 100 * DAY}


def record(number: int, decision: str, *subjects: int, purpose: str = "customer-service") -> dict[str, Any]:
    row = {"id": key(number), "at": NOW - DAY, "principal_id": an_id("Employee", PEKKA), "role": "support"}
    row |= {"designation_id": key(74), "purpose": purpose, "case_reference": "C 1"}
    row |= {"operation_name": "Card", "operation_hash": "ab" * 32, "fields": ["Customer.email"]}
    row |= {"subject_ids": [key(one) for one in subjects], "policy_version": "1", "notice_version": "1"}
    return row | {"request_id": f"r{number}", "decision": decision}


def disclosure(number: int, owner: int, *, visible: bool = True, **columns: Any) -> dict[str, Any]:
    row = {"id": key(number), "customer_id": key(owner), "recipient": "Posti", "purpose": "delivery"}
    row |= {"at": NOW - DAY, "fields": ["Delivery.recipientName"], "statute": None}
    row |= {"requester": None, "case_number": None, "visible_to_subject": visible}
    return row | {"notice_status": "NOT_DUE"} | columns


def request(number: int, owner: int, kind: str = "EXPORT", **columns: Any) -> dict[str, Any]:
    row = {"id": key(number), "customer_id": key(owner), "order_id": None, "kind": kind, "channel": "ACCOUNT"}
    row |= {"received_at": NOW - DAY, "due_at": NOW + number * DAY, "extended_to": None, "status": "RECEIVED"}
    row |= {"decision": None, "handled_by": None, "retained": "[]", "notified": []}
    return row | columns


def hold(number: int, owner: int, order_number: int | None = None, **columns: Any) -> dict[str, Any]:
    target = ("Order", order_number) if order_number else ("Customer", owner)
    row = {
        "id": key(number),
        "customer_id": key(owner),
        "target_entity": target[0],
        "target_id": key(target[1]),
    }
    row |= {"order_id": key(order_number) if order_number else None, "fields": ["Order.billingName"]}
    row |= {"basis": "a claim", "until": date(2027, 1, 31), "placed_by": an_id("Employee", RIITTA)}
    return row | {"released_at": None} | columns


AINO, VILLE, ERKKI, MIKA = 1, 2, 3, 4  # VILLE is restricted, ERKKI erased, MIKA has withdrawn
POSTI, DHL = 91, 92
PEKKA, RIITTA = 71, 72  # PEKKA helps customers, RIITTA designated him
RECORDS = [
    record(101, "ALLOWED", AINO, MIKA),
    record(102, "REFUSED", AINO),
    record(103, "ALLOWED", VILLE),
    record(104, "ALLOWED", AINO, purpose="authority-request"),
]
DISCLOSURES = [
    disclosure(111, AINO),
    disclosure(112, AINO, visible=False, recipient="Authorities", statute="Act 1", case_number="1"),
    disclosure(113, VILLE),
    disclosure(114, ERKKI),
]
RETAINED = [{"coordinate": "Order.billingName", "until": "2030-12-31", "basis": "a law"}]
REQUESTS = [
    request(121, AINO),
    request(122, AINO, "ERASURE", order_id=key(12), channel="ORDER_LINK"),
    request(123, VILLE, "RESTRICTION"),
    request(124, ERKKI, "ERASURE", retained=json.dumps(RETAINED), notified=["Posti"]),
]
HOLDS = [hold(131, AINO), hold(132, AINO, 12), hold(133, VILLE), hold(134, ERKKI, 14)]
ROWS: dict[str, list[dict[str, Any]]] = {
    "customer": [
        customer(AINO),
        customer(VILLE, restricted_at=NOW, phone=None),
        customer(ERKKI, erased_at=NOW, status="ERASED", first_name=None, email=None, phone=None),
        customer(MIKA, first_name="Mika", postal_town="Turku"),
    ],
    "consent_event": [
        consent(81, AINO, "REFUSED", NOW - 2 * DAY),
        consent(82, AINO, "GIVEN", NOW - DAY),
        consent(83, VILLE, "GIVEN", NOW - DAY),
        consent(84, ERKKI, "GIVEN", NOW - DAY),
        consent(86, MIKA, "WITHDRAWN", NOW - DAY),
        consent(85, MIKA, "GIVEN", NOW - DAY),
    ],
    "orders": [
        order(11, AINO, "PLACED"),
        order(12, AINO, "COMPLETED", total=Decimal("7.00")),
        order(13, VILLE, "PLACED"),
        order(14, ERKKI, "COMPLETED"),
        order(15, MIKA, "COMPLETED"),
        order(
            16,
            MIKA,
            "CANCELLED",
            billing_street_address=None,
            billing_postal_code=None,
            billing_postal_town=None,
        ),
    ],
    "order_line": [order_line(21, AINO, 11), order_line(22, AINO, 12), order_line(23, VILLE, 13)],
    "delivery": [
        delivery(31, AINO, 11, POSTI, "IN_TRANSIT", handed_over_at=NOW - DAY, weight_grams=500),
        delivery(32, AINO, 12, POSTI, "DELIVERED", delivered_at=NOW - 29 * DAY),
        delivery(33, VILLE, 13, POSTI, "IN_TRANSIT"),
        delivery(34, AINO, 11, POSTI, "PLANNED"),
        delivery(35, AINO, 12, DHL, "DELIVERED", delivered_at=NOW - DAY, weight_grams=200),
        delivery(36, MIKA, 15, None, "EXCEPTION", service_code="none"),
    ],
    "delivery_event": [
        delivery_event(41, AINO, 31),
        delivery_event(42, VILLE, 33),
        delivery_event(43, AINO, 35),
    ],
    "returns": [
        a_return(51, ERKKI, 14, "REQUESTED"),
        a_return(52, AINO, 12, "CLOSED", refund_amount=Decimal("7.00"), reason_code="LATE"),
    ],
    "return_line": [return_line(61, ERKKI, 51, 21), return_line(62, AINO, 52, 22)],
    "employee": [employee(PEKKA, "pekka"), employee(RIITTA, "riitta")],
    "designation": [
        designation(73, RIITTA, "register_admin", None),
        designation(74, PEKKA, "support", RIITTA),
    ],
    "carrier": [carrier(POSTI, "Posti"), carrier(DHL, "DHL")],
    "carrier_service": [service(POSTI, needs_phone=True), service(DHL, needs_email=True)],
    "partner_token": [],
    "access_record": RECORDS,
    "disclosure": DISCLOSURES,
    "subject_request": REQUESTS,
    "legal_hold": HOLDS,
    "erasure_notice": [],
}

CUSTOMER = Asker("customer", customer_id=key(AINO))
ONE_ORDER = Asker("customer", customer_id=key(AINO), order_id=key(12))
SUPPORT = Asker("support", employee_id=key(PEKKA))
SERVING = Asker("support", purpose="customer-service")
ADMIN = Asker("register_admin", employee_id=key(RIITTA))
WAREHOUSE = Asker("warehouse")
FINANCE = Asker("finance")
MARKETING = Asker("marketing")
OFFICER = Asker("privacy_officer")
CARRIER = Asker("carrier", carrier_id=key(POSTI))
NEWSLETTER = Asker("newsletter")
ANONYMOUS = Asker("anonymous")
UNDESIGNATED = Asker(None)


@dataclass
class World:
    """The hand-made rows in the shape the generator takes."""

    now: datetime = NOW

    def first_rows(self) -> dict[str, list[dict[str, Any]]]:
        """The same rows: nothing changes them."""
        return self.rows()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        return ROWS


def ask(asker: Asker, document: str, now: datetime = NOW, **variables: Any) -> Expected:
    return expected(ROWS, asker, now, document, variables)


def first_root(asker: Asker, document: str, now: datetime = NOW, **variables: Any) -> Any:
    """The value of the operation's first root field."""
    answer = ask(asker, document, now, **variables)
    assert answer.data is not None
    return next(iter(answer.data.values()))


def numbers(asker: Asker, root: str, arguments: str = "", now: datetime = NOW) -> list[int]:
    """The hand-made numbers of the rows a list shows, in its order."""
    nodes = first_root(asker, f"{{ {root}{arguments} {{ nodes {{ id }} }} }}", now)["nodes"]
    return [int(str(read_global_id(node["id"])[1])[-12:]) for node in nodes]


def cells(asker: Asker, root: str, field: str, now: datetime = NOW) -> list[Any]:
    """The values of one field on the rows of a list, oldest row first."""
    nodes = first_root(asker, f"{{ {root}(orderBy: {{id: ASC}}) {{ nodes {{ {field} }} }} }}", now)["nodes"]
    return [node[field] for node in nodes]
