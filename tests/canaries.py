"""A register whose every personal text and number is a canary, and traffic with canaries in all places."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLObjectType, get_named_type, is_leaf_type
from sqlalchemy import Integer, Numeric, Text
from sqlmodel import SQLModel

from schema.scalars import global_id
from schema.tags import Personal
from tests.logged import MADE, RECORDS
from tests.test_attacks_texts import LITERALS, VARIABLES
from tests.test_matrix_writes import MODEL, MUTATIONS, Literal, entity_of, filled, ways
from tests.world import World
from tests.writing import GUEST, PLACE, basket

# Stands in every canary, in this or another case.
MARK = "kanarek"
CANARY = "Wq7Kanarek"
# Personal columns of closed sets, which hold no free text; each must be there.
CLOSED = {
    *("one_time_link.kind", "change.entity", "change.field", "change.source", "change.actor", "mail.kind"),
    *("session.ended_why", "customer.status", "customer.country_code", "consent_event.source"),
    *("consent_event.notice_version", "consent_event.text_digest", "consent_event.actor", "orders.status"),
    *("consent_event.purpose", "consent_event.state", "orders.billing_country_code", "orders.currency"),
    *("orders.payment_method", "orders.payment_status", "order_line.currency", "delivery.service_code"),
    *("delivery.status", "delivery.country_code", "delivery_event.status", "returns.kind", "returns.status"),
    *("returns.reason_code", "returns.currency", "designation.role", "idempotency.principal"),
    *("partner_token.issued_by", "subject_request.kind", "subject_request.channel", "subject_request.status"),
    *("subject_request.decision", "subject_request.handled_by", "legal_hold.placed_by"),
    *("legal_hold.released_by", "erasure_notice.recipient"),
}
FORMS = {"email": "{}@store.example", "recipient": "{}@store.example", "work_email": "{}@store.example"}
FORMS |= {"contact_email": "{}@store.example", "recipient_email": "{}@store.example"}
# Numbers no line has by chance: nine digits with the column's and the row's in them.
FIRST_NUMBER = 700_000_000
HEADERS = ("Authorization", "Act-As", "Processing-Purpose", "Case-Reference", "X-Request-Id", "On-Forbidden")
HEADERS += ("Cookie", "User-Agent", "Referer", "Origin", "X-Forwarded-For", "Forwarded", "traceparent")
STRICT = "application/graphql-response+json"


def planted_columns() -> Iterator[tuple[str, str, Any]]:
    """Table, column and type of every personal column that takes free text or a free number."""
    for name, table in SQLModel.metadata.tables.items():
        for column in table.columns:
            is_personal = isinstance(column.info.get("tag"), Personal) and name not in RECORDS
            is_free = isinstance(column.type, Text | Numeric | Integer)
            if is_personal and is_free and f"{name}.{column.name}" not in CLOSED:
                yield name, column.name, column.type


def plant(world: World) -> None:
    """Makes every personal value of every row a canary of its own; no trigger looks on."""

    async def run(connection: Any) -> None:
        for table in SQLModel.metadata.tables:
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for number, (table, column, kind) in enumerate(planted_columns()):
            form = FORMS.get(column, "{}")
            value = f"replace('{form}', '{{}}', 'Kanarek{number}x' || one.number)"
            if not isinstance(kind, Text):
                value = f"{FIRST_NUMBER + number * 100_000} + one.number"
            rows = f"SELECT ctid AS place, row_number() OVER () AS number FROM {table}"
            await connection.execute(
                f"UPDATE {table} SET {column} = {value} FROM ({rows}) AS one WHERE {table}.ctid = one.place"
            )
        for table in SQLModel.metadata.tables:
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    world.run(run)


def planted_numbers(world: World) -> set[str]:
    """The digits of every number that was planted."""
    rows = world.rows()
    return {
        str(int(row[column]))
        for table, column, kind in planted_columns()
        if not isinstance(kind, Text)
        for row in rows[table]
    }


def found_canaries(lines: list[bytes], numbers: set[str]) -> list[str]:
    """The lines in which a canary stands, of text or of a number."""
    texts = [MADE.sub(b"", line).decode("utf-8", "replace").lower() for line in lines]
    whole = "\n".join(texts)
    hits = [number for number in numbers if number in whole]
    return [line for line in texts if MARK in line or any(hit in line for hit in hits)]


@dataclass
class Traffic:
    """Requests by one client, and what the gateway answered."""

    client: Any
    world: World
    # Who asks for everything there is.
    names: tuple[str, ...]
    answers: list[Any] = field(default_factory=list)

    def send(self, method: str, path: str, **given: Any) -> Any:
        response = self.client.request(method, path, **given)
        self.answers.append(response)
        return response

    def post(self, name: str, document: str, variables: Any = None, **headers: str) -> Any:
        body = {"query": document, "variables": variables}
        who = self.world.askers[name].headers
        return self.send("POST", "/graphql", json=body, headers={"accept": STRICT, **who, **headers})

    def all(self) -> None:
        """Everything there is to ask, by everybody, with a canary wherever one fits."""
        for step in (self.reads, self.mistakes, self.headers, self.bodies, self.changes, self.conflicts):
            step()

    def reads(self) -> None:
        """Every root field by everybody, without a purpose and with theirs, found by canaries too."""
        purposes = {"support": "customer-service", "finance": "accounting", "newsletter": "newsletter"}
        purposes |= {"register-admin": "customer-service", "privacy-officer": "subject-rights"}
        for name in self.names:
            for document in read_documents():
                given = {"Processing-Purpose": purposes[name]} if name in purposes else {}
                self.post(name, document, **given, **{"Case-Reference": "CASE-17"})

    def mistakes(self) -> None:
        """Documents and variables that are refused, as several roles."""
        for name in ("customer", "support", "carrier", "anonymous"):
            for document in LITERALS:
                self.post(name, document)
            for kind, value in VARIABLES:
                used = {"OrderWhere": "orders(where: $v)", "[OrderOrderBy!]": "orders(orderBy: $v)"}.get(kind)
                asked = used or {"ID": "node(id: $v)", "Int": "orders(first: $v)"}.get(kind, "viewer")
                field = "role" if asked == "viewer" else "__typename"
                self.post(name, f"query($v: {kind}) {{ {asked} {{ {field} }} }}", {"v": value})
            self.post(name, f"query {CANARY} {{ {CANARY}: viewer {{ {CANARY}: role }} }}")
            self.post(name, f"{{ orders(first: 1) {{ nodes {{ number }} }} }} # {CANARY}")
            self.post(name, "{" + f'a: order(number: "{CANARY}") {{ id }} ' * 2 + "}" + "x" * 70_000)

    def headers(self) -> None:
        """Canaries in headers, alone and as tokens of each form."""
        for name in HEADERS:
            for form in ("{}", "Bearer {}", "Bearer {0}.{0}.{0}", "Bearer crp_{}", "for={}"):
                for who in ("anonymous", "support"):
                    self.post(who, "{ viewer { role } }", **{name: form.format(CANARY)})
                self.send("GET", "/schema.graphql", headers={name: form.format(CANARY)})

    def bodies(self) -> None:
        """What is no GraphQL request, URLs with canaries among it."""
        plain = {"content-type": "application/json"}
        for body in (f'{{"query": "{CANARY}', f'["{CANARY}"]', f'"{CANARY}"', f'{{"{CANARY}": "\xff"}}'):
            self.send("POST", "/graphql", content=body.encode("latin-1"), headers=plain)
        self.send("POST", "/graphql", content=CANARY * 40_000, headers=plain)
        self.send("POST", "/graphql", content=CANARY, headers={"content-type": f"text/{CANARY}"})
        self.send("POST", "/graphql", content=CANARY, headers={**plain, "accept": f"text/{CANARY}"})
        for query in (f'{{ order(number: "{CANARY}") {{ id }} }}', CANARY):
            for variables in ("{}", f'{{"v": "{CANARY}"}}', CANARY):
                self.send("GET", "/graphql", params={"query": query, "variables": variables, CANARY: CANARY})
        for path in ("/", "/graphql/", "/u/", "/healthz/", "/readyz?v=", "/metrics/", "/dashboard/"):
            self.send("GET", f"{path}{CANARY}")
            self.send("PUT", f"{path}{CANARY}", content=CANARY)
        self.send(CANARY.upper(), "/graphql")
        event_stream = {**plain, "accept": "text/event-stream", "authorization": f"Bearer {CANARY}"}
        self.send("POST", "/graphql", content=json.dumps({"query": CANARY}), headers=event_stream)

    def changes(self) -> None:
        """Every mutation with canaries in all its texts, as variables and literals, by those who change."""
        for root in MUTATIONS.values():
            given = _with_canaries(filled(root.input, entity_of(root)))
            for way in ways(root, given):
                document = way.document.replace("__typename", "userErrors { code message path }")
                for name in {"customer", "support", "warehouse", "register-admin", "carrier"} & {*self.names}:
                    purpose = {"Processing-Purpose": "customer-service"} if name == "support" else {}
                    self.post(name, document, dict(way.variables), **purpose)
        self._real_changes()

    def _real_changes(self) -> None:
        customer = self.world.askers["customer"].customer_id
        assert customer is not None
        order = next(row for row in self.world.rows()["orders"] if row["customer_id"] == customer)
        mine = {"id": global_id("Customer", customer), "ifVersion": 1, "firstName": CANARY, "phone": CANARY}
        note = {"id": global_id("Order", order["id"]), "text": f"{CANARY} called", "note": CANARY}
        for name, kind, given in (
            ("updateCustomer", "UpdateCustomerInput", mine),
            ("updateCustomer", "UpdateCustomerInput", {**mine, "phone": "+358407654321"}),
            ("addOrderNote", "AddOrderNoteInput", {key: note[key] for key in ("id", "text")}),
            ("addOrderNote", "AddOrderNoteInput", {key: note[key] for key in ("id", "note")}),
        ):
            document = f"mutation($input: {kind}!) {{ {name}(input: $input) {{ userErrors {{ code }} }} }}"
            for who in ("customer", "support"):
                self.post(who, document, {"input": given}, **{"Processing-Purpose": "customer-service"})

    def conflicts(self) -> None:
        """The same address, key and place twice; an order of a guest; secrets that are none."""
        errors = "{ userErrors { code message } }"
        address = f"{CANARY}@store.example"
        person = {"email": address, "firstName": CANARY, "surname": CANARY, "password": f"{CANARY} {CANARY}"}
        register = f"mutation($input: RegisterCustomerInput!) {{ registerCustomer(input: $input) {errors} }}"
        sign_in = f"mutation($input: SignInInput!) {{ signIn(input: $input) {errors} }}"
        guest = {**GUEST, "firstName": CANARY, "surname": CANARY, "email": address}
        for _ in range(2):
            self.post("anonymous", register, {"input": {**person, "idempotencyKey": self._key()}})
            self.post("anonymous", sign_in, {"input": {"email": address, "password": f"{CANARY} {CANARY}"}})
            self.post("anonymous", PLACE, {"input": basket(customer=guest, idempotencyKey=self._key())})
            self.post(
                "customer", PLACE, {"input": basket(customerMessage=CANARY, idempotencyKey=self._key())}
            )
        other = {**person, "surname": f"{CANARY}son", "idempotencyKey": self._key()}
        self.post("anonymous", register, {"input": other})

    @staticmethod
    def _key() -> str:
        return "00000000-0000-4000-8000-00000000cafe"


def read_documents() -> Iterator[str]:
    """Every root field with all its plain fields, once plain and once found or refused by canaries."""
    query = MODEL.graphql.query_type
    assert query is not None
    for name, one in query.fields.items():
        kind: Any = get_named_type(one.type)
        if name in ("node", "nodes"):
            continue
        if "where" in one.args:
            entity: Any = get_named_type(get_named_type(kind.fields["nodes"].type))
            shown = f"{{ totalCount nodes {{ {leaves(entity)} }} }}"
            yield f"{{ {name}(first: 50) {shown} }}"
            yield f'{{ {name}(after: "{CANARY}") {shown} }}'
            for column in searchable(entity):
                yield f'{{ {name}(where: {{{column}: {{eq: "{CANARY}"}}}}) {shown} }}'
                yield f"query($v: String) {{ {name}(where: {{{column}: {{startsWith: $v}}}}) {shown} }}"
        elif one.args:
            for argument in one.args:
                yield f'{{ {name}({argument}: "{CANARY}") {{ {leaves(kind)} }} }}'
        else:
            yield f"{{ {name} {{ {leaves(kind)} }} }}"


def leaves(kind: GraphQLObjectType) -> str:
    """The fields of a type that need no selection."""
    return " ".join(name for name, one in kind.fields.items() if is_leaf_type(get_named_type(one.type)))


def searchable(kind: GraphQLObjectType) -> list[str]:
    where: Any = MODEL.graphql.type_map[f"{kind.name}Where"]
    kinds = {name: get_named_type(one.type).name for name, one in where.fields.items()}
    return [name for name, of in kinds.items() if of.startswith("String")]


def _with_canaries(given: Any, name: str = "") -> Any:
    """An input with a canary for each text."""
    match given:
        case dict():
            return {key: _with_canaries(value, key) for key, value in given.items()}
        case list():
            return [_with_canaries(value, name) for value in given]
        case "x":
            return f"{CANARY}@store.example" if name.lower().endswith("email") else CANARY
        case Literal() | _:
            return given


def errors_of(answers: list[Any]) -> list[bytes]:
    """What is in the errors of answers, or the whole of an answer that is none of GraphQL's."""
    found = []
    for answer in answers:
        try:
            body = json.loads(answer.content)
        except ValueError:
            body = None
        if isinstance(body, Mapping) and ("data" in body or "errors" in body):
            found += [json.dumps(error, ensure_ascii=False).encode() for error in body.get("errors", ())]
        else:
            found.append(answer.content)
        found.append(json.dumps(dict(answer.headers)).encode())
    return found
