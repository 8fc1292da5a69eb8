"""What is asked: six reads and a change, of the gateway and of the endpoint written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schema.scalars import global_id

from .place import Place

ONE_CUSTOMER = """query W1($id: ID!) {
  customer(id: $id) {
    id firstName surname streetAddress postalCode postalTown phone email
    orders(first: 10) { nodes {
      id placedAt status total { amount currency }
      lines(first: 20) { nodes { sku name quantity } }
      deliveries(first: 5) { nodes { carrier { name } trackingCode status promisedAt } }
    } }
  }
}"""
DELIVERIES = """query W2 {
  deliveries(first: 50) { nodes {
    id trackingCode status recipientName streetAddress postalCode postalTown recipientPhone
  } }
}"""
CUSTOMERS = """query W3 {
  customers(first: 100) { nodes {
    id firstName surname streetAddress postalCode postalTown phone email marketingConsent createdAt
  } }
}"""
ORDERS = """query W3b {
  orders(first: 100) { nodes {
    id number placedAt status total { amount currency } paymentMethod paymentStatus customerMessage version
  } }
}"""
MASKED = """query W4 {
  customers(first: 100) { nodes {
    id number firstName surname phone email status createdAt lastActiveAt version
  } }
}"""
ONE_FOUND = """query W6($email: String!) {
  customer(email: $email) {
    id number firstName surname streetAddress postalCode postalTown phone email
  }
}"""
CHANGE = """mutation W5($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) {
    customer { id firstName surname phone email }
    userErrors { code }
  }
}"""
PURPOSE = {"Processing-Purpose": "customer-service"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, and with which variables."""

    headers: Mapping[str, str]
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """An operation and its requests, asked in turn; `least` is the share of the endpoint's rate to reach."""

    name: str
    title: str
    document: str
    calls: tuple[Call, ...]
    least: float = 0.9
    # Of others' personal data, so that the gateway and the endpoint write down who read it.
    is_recorded: bool = False

    def body(self, call: Call) -> bytes:
        """The JSON of a request."""
        return json.dumps(
            {"operationName": self.name, "query": self.document, "variables": dict(call.variables)}
        ).encode()

    def requests(self, port: int) -> list[str]:
        """The whole HTTP requests, as the load sends them."""
        return [_http(port, call, self.body(call)) for call in self.calls]


def _http(port: int, call: Call, body: bytes) -> str:
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **call.headers,
    }
    lines = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
    return f"POST /graphql HTTP/1.1\r\n{lines}\r\n\r\n{body.decode()}"


def workloads(place: Place) -> tuple[Workload, ...]:
    """All seven, for the principals of this place."""
    support = (Call({**place.principals["support"].headers, **PURPOSE}, {}),)
    without_purpose = (Call(place.principals["support"].headers, {}),)
    carrier = (Call(place.principals["carrier"].headers, {}),)
    return (
        Workload("W1", "customer: themselves, 10 orders, lines, deliveries", ONE_CUSTOMER, _customers(place)),
        Workload("W2", "carrier: 50 deliveries of 8 fields", DELIVERIES, carrier, is_recorded=True),
        Workload("W3", "support: 100 customers of 10 fields", CUSTOMERS, support, is_recorded=True),
        Workload("W3b", "support: 100 orders of 10 leaves", ORDERS, support, least=0.95, is_recorded=True),
        Workload(
            "W4",
            "support without a purpose: 100 customers, masked",
            MASKED,
            without_purpose,
            is_recorded=True,
        ),
        Workload("W5", "customer: a new telephone number", CHANGE, _changes(place), least=0.7),
        Workload(
            "W6",
            "support: one customer found by e-mail",
            ONE_FOUND,
            _addresses(place),
            least=0.8,
            is_recorded=True,
        ),
    )


def _customers(place: Place) -> tuple[Call, ...]:
    return tuple(
        Call(headers, {"id": key})
        for key, headers in ((_id(one), _headers(place, one)) for one in place.busy)
    )


def _changes(place: Place) -> tuple[Call, ...]:
    """Each customer takes two made-up numbers in turn, so that every request changes something."""
    return tuple(
        Call(_headers(place, one), {"input": {"id": _id(one), "phone": f"+35840123{turn}{place_of:03}"}})
        for turn in (4, 5)
        for place_of, one in enumerate(place.busy)
    )


def _addresses(place: Place) -> tuple[Call, ...]:
    headers = {**place.principals["support"].headers, **PURPOSE}
    return tuple(Call(headers, {"email": email}) for email in place.emails)


def _id(customer: UUID) -> str:
    return global_id("Customer", customer)


def _headers(place: Place, customer: UUID) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {place.tokens[customer]}"}
