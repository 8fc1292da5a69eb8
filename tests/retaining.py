"""Registers of a few rows for the tests of retention: rows with all their columns, and runs of a day."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
from uuid_utils.compat import uuid7

from gateway.config import Settings
from gateway.policy import default_folder, load_policy
from gateway.principal import SigningKey
from gateway.privacy.retention.daily import Daily, Done
from gateway.privacy.retention.steps import Touched
from schema.model import load_model
from tests.sealing import as_owner, records_database

LONG_AGO = datetime(2010, 1, 1, 12, tzinfo=UTC)
POLICY = load_policy(default_folder(), load_model())
NEVER_SOON = datetime(2099, 1, 1, 12, tzinfo=UTC)


def noon(day: date | str) -> datetime:
    found = date.fromisoformat(day) if isinstance(day, str) else day
    return datetime.combine(found, time(12), UTC)


@dataclass
class Store:
    """A register, and who runs its retention."""

    url: str
    keeper_url: str
    settings: Settings

    @property
    def daily(self) -> Daily:
        return Daily(self.settings, POLICY)

    def run(self, day: date | datetime | str, *, dry: bool = False) -> list[Touched]:
        """What a run of a day, which a dry run lists before, has changed."""
        now = day if isinstance(day, datetime) else noon(day)
        rows: list[Touched] = []
        foretold: list[Touched] = []
        asyncio.run(self.daily.run(now, foretold.append, dry=True))
        if dry:
            return foretold
        asyncio.run(self.daily.run(now, rows.append))
        assert rows == foretold
        return rows

    def warn(self, day: date | datetime | str) -> list[Touched]:
        """What a run has changed whose letters leave then."""
        touched = self.run(day)
        self.sql("DELETE FROM mail WHERE kind = 'account-ending'")
        return touched

    def done(self, day: date | str) -> Done:
        return asyncio.run(self.daily.run(noon(day)))

    def sql(self, query: str, *values: object) -> list[Any]:
        async def fetch(connection: Any) -> list[Any]:
            return list(await connection.fetch(query, *values))

        found: list[Any] = asyncio.run(as_owner(self.url, fetch))
        return found

    def row(self, table: str, key: uuid.UUID, column: str = "id") -> dict[str, Any]:
        (found,) = self.sql(f"SELECT * FROM {table} WHERE {column} = $1", key)
        return dict(found)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.sql(f"SELECT * FROM {table} ORDER BY 1")]

    def insert(self, table: str, **values: Any) -> None:
        names, marks = ", ".join(values), ", ".join(f"${place}" for place in range(1, len(values) + 1))
        self.sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", *values.values())

    # ------------------------------------------------------------ rows

    def customer(self, active: datetime = NEVER_SOON, **changed: Any) -> uuid.UUID:
        """A customer with every column filled."""
        key = uuid7()
        values = {
            "number": f"C-{key}",
            "first_name": "Aino",
            "surname": "Esimerkki",
            "street_address": "Testikatu 1",
            "postal_code": "00100",
            "postal_town": "Helsinki",
            "country_code": "FI",
            "phone": "+358401234567",
            "email": f"{key}@store.example",
            "unsubscribe_token": f"token-{key}",
            "subject": f"subject-{key}",
            "created_at": LONG_AGO,
            "last_active_at": active,
        }
        self.insert("customer", id=key, **{**values, **changed})
        return key

    def order(self, customer: uuid.UUID, placed: datetime = LONG_AGO, **changed: Any) -> uuid.UUID:
        """A completed order with one line."""
        key = uuid7()
        billing = {
            "billing_name": "Aino Esimerkki",
            "billing_street_address": "Testikatu 1",
            "billing_postal_code": "00100",
            "billing_postal_town": "Helsinki",
            "billing_country_code": "FI",
        }
        values = {
            "number": f"O-{key}",
            "placed_at": placed,
            "status": "COMPLETED",
            "currency": "EUR",
            "total": Decimal("30.00"),
            "payment_method": "CARD",
            "payment_status": "PAID",
            "customer_message": "Soita ovikelloa",
            "internal_note": "Soitettu",
            **billing,
        }
        self.insert("orders", id=key, customer_id=customer, **{**values, **changed})
        line = {
            "sku": "T-1",
            "name": "Tuoppi",
            "quantity": 3,
            "unit_price": Decimal(10),
            "vat_rate": Decimal(25),
        }
        self.insert("order_line", id=uuid7(), order_id=key, customer_id=customer, currency="EUR", **line)
        return key

    def delivery(
        self, customer: uuid.UUID, order: uuid.UUID, ended: datetime, **changed: Any
    ) -> tuple[uuid.UUID, uuid.UUID]:
        """A delivery that ended then, with every column filled, and its event."""
        key, event = uuid7(), uuid7()
        values = {
            "reference": f"D-{key}",
            "service_code": "HOME",
            "status": "DELIVERED",
            "tracking_code": "JJFI1",
            "parcel_count": 1,
            "recipient_name": "Aino Esimerkki",
            "recipient_phone": "+358401234567",
            "recipient_email": "aino@store.example",
            "street_address": "Testikatu 1",
            "postal_code": "00100",
            "postal_town": "Helsinki",
            "country_code": "FI",
            "pickup_point": "Kioski",
            "instructions": "Ovelle",
            "created_at": ended - timedelta(days=5),
            "handed_over_at": ended - timedelta(days=3),
            "delivered_at": ended,
            "signed_by": "A. Esimerkki",
        }
        of = {"customer_id": customer, "order_id": order}
        self.insert("delivery", id=key, **of, **{**values, **changed})
        self.insert(
            "delivery_event",
            id=event,
            delivery_id=key,
            customer_id=customer,
            status="DELIVERED",
            occurred_at=ended,
            place="Helsinki",
            note="Jätetty ovelle",
            idempotency_key=uuid.uuid4(),
        )
        return key, event

    def returned(self, customer: uuid.UUID, order: uuid.UUID, asked: datetime, **changed: Any) -> uuid.UUID:
        """A closed return of what was asked for then."""
        key = uuid7()
        values = {
            "number": f"R-{key}",
            "kind": "DEFECT",
            "status": "CLOSED",
            "requested_at": asked,
            "reason_text": "Rikki",
            "inspection_note": "Korjattu",
            "refund_due_at": asked + timedelta(days=14),
            "currency": "EUR",
            "refunded_at": asked,
            "refund_iban": "FI2112345600000785",
        }
        of = {"customer_id": customer, "order_id": order}
        self.insert("returns", id=key, **of, **{**values, **changed})
        line = self.sql("SELECT id FROM order_line WHERE order_id = $1", order)[0]["id"]
        self.insert(
            "return_line", id=uuid7(), return_id=key, customer_id=customer, order_line_id=line, quantity=1
        )
        return key

    def consent(self, customer: uuid.UUID, state: str, at: datetime) -> uuid.UUID:
        """An event of a customer's consent history."""
        key = uuid7()
        values = {"source": "REGISTRATION", "notice_version": "1", "text_digest": "ab", "actor": "x"}
        self.insert(
            "consent_event",
            id=key,
            customer_id=customer,
            purpose="NEWSLETTER",
            state=state,
            at=at,
            evidence="Soitti",
            **values,
        )
        return key

    def hold(
        self,
        customer: uuid.UUID,
        entity: str,
        target: uuid.UUID,
        fields: Sequence[str],
        until: str,
        order: uuid.UUID | None = None,
        **changed: Any,
    ) -> uuid.UUID:
        """A hold that was placed long ago."""
        key = uuid7()
        values = {
            "basis": "Test claim",
            "until": date.fromisoformat(until),
            "placed_at": LONG_AGO,
            "placed_by": "x",
        }
        of = {"target_entity": entity, "target_id": target, "order_id": order, "fields": sorted(fields)}
        self.insert("legal_hold", id=key, customer_id=customer, **of, **{**values, **changed})
        return key

    def request(self, customer: uuid.UUID, status: str, at: datetime, **changed: Any) -> uuid.UUID:
        """A request about somebody's data."""
        key = uuid7()
        values = {"kind": "EXPORT", "channel": "ACCOUNT", "received_at": at, "due_at": at, "status": status}
        self.insert("subject_request", id=key, customer_id=customer, **{**values, **changed})
        return key

    def warned(self, customer: uuid.UUID, at: datetime) -> None:
        self.insert("retention_warning", customer_id=customer, warned_at=at)

    def noted(self, key: uuid.UUID) -> list[tuple[str, str, str]]:
        """What is noted of a row: field, source, actor."""
        query = "SELECT field, source, actor FROM change WHERE entity_id = $1 ORDER BY field"
        return [tuple(row) for row in self.sql(query, key)]


@contextmanager
def store(server_url: str, folder: Path, **changed: Any) -> Iterator[Store]:
    """An empty register, and a keeper with the rights that it gets and no more."""
    key = folder / f"{uuid.uuid4()}.pem"
    SigningKey.create(key)
    with records_database(server_url) as made:
        urls = {"database_url": made.gateway_url, "keeper_database_url": made.keeper_url}
        settings = Settings(**urls, signing_key_file=key, **changed)
        yield Store(made.url, made.keeper_url, settings)


def fields_of(touched: Sequence[Touched], table: str) -> dict[uuid.UUID, set[str]]:
    """The columns that were changed, by row of a table."""
    found: dict[uuid.UUID, set[str]] = {}
    for one in touched:
        if one.table == table:
            found.setdefault(one.id, set()).update(one.fields)
    return found


def filled(row: Mapping[str, Any], columns: Sequence[str]) -> set[str]:
    return {name for name in columns if row[name] not in (None, "")}


__all__ = ["LONG_AGO", "NEVER_SOON", "Store", "asyncpg", "fields_of", "filled", "noon", "store"]
