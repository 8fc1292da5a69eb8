"""The tables of the customer register, each column with its data-protection tag.

Every row about a person carries `customer_id`: the row rules' key, the audit's subject and the distribution
key of a sharded database. Composite foreign keys make a child's `customer_id` its parent's.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlmodel import Field, SQLModel

from . import tags
from .columns import MONEY, TEXT, TIME, Known, belongs_to, column, of_order, one_of, primary_key, version
from .credentials import Credential as Credential
from .credentials import OneTimeLink as OneTimeLink
from .credentials import RefreshToken as RefreshToken
from .credentials import Session as Session
from .ledgers import Attempt as Attempt
from .ledgers import Change as Change
from .ledgers import Idempotency as Idempotency
from .ledgers import Mail as Mail
from .partner_keys import PartnerToken as PartnerToken
from .price_list import Product as Product
from .records import AccessRecord as AccessRecord
from .records import DailyReading as DailyReading
from .records import DailySubject as DailySubject
from .records import Disclosure as Disclosure
from .records import Seal as Seal
from .states import (
    ConsentPurpose,
    ConsentState,
    CustomerStatus,
    DeliveryStatus,
    OrderStatus,
    PaymentMethod,
    PaymentStatus,
    ReturnKind,
    ReturnReason,
    ReturnStatus,
    StaffRole,
)
from .subject_rights import ConsentProof as ConsentProof
from .subject_rights import Erasure as Erasure
from .subject_rights import ErasureNotice as ErasureNotice
from .subject_rights import ErasureNoticeAttempt as ErasureNoticeAttempt
from .subject_rights import ExportDocument as ExportDocument
from .subject_rights import ExportPiece as ExportPiece
from .subject_rights import LegalHold as LegalHold
from .subject_rights import RetentionRun as RetentionRun
from .subject_rights import RetentionWarning as RetentionWarning
from .subject_rights import SubjectRequest as SubjectRequest
from .tags import CARRIER_DATA, PRODUCT_DATA, TECHNICAL


class Customer(SQLModel, table=True):
    __tablename__ = "customer"
    __table_args__ = (
        Index("customer_email", "email"),
        Index("customer_phone", "phone"),
        Index("customer_postal_code", "postal_code"),
        Index("customer_restricted", "id", postgresql_where=text("restricted_at IS NOT NULL")),
        Index(
            "customer_consented",
            "id",
            postgresql_where=text("marketing_consent AND restricted_at IS NULL AND erased_at IS NULL"),
        ),
    )
    id: uuid.UUID = primary_key()
    number: str = column(TEXT, tags.account("user.unique_id"), unique=True)
    first_name: str | None = column(TEXT, tags.account("user.name.first"), null=True)
    surname: str | None = column(TEXT, tags.account("user.name.last"), null=True)
    street_address: str | None = column(TEXT, tags.account("user.contact.address.street"), null=True)
    postal_code: str | None = column(TEXT, tags.account("user.contact.address.postal_code"), null=True)
    postal_town: str | None = column(TEXT, tags.account("user.contact.address.city"), null=True)
    country_code: str | None = column(TEXT, tags.account("user.contact.address.country"), null=True)
    phone: str | None = column(TEXT, tags.account("user.contact.phone_number"), null=True)
    email: str | None = column(TEXT, tags.account("user.contact.email"), null=True)
    # Kept by the trigger `consent_event_newest`: whether the newest newsletter consent is GIVEN.
    marketing_consent: bool = column(
        Boolean(), tags.consent("user.behavior.preferences"), server_default=text("false")
    )
    unsubscribe_token: str = column(TEXT, tags.consent("user.unique_id", "made by the gateway"), unique=True)
    # What the store's identity provider calls the customer; written by the store's account system alone.
    subject: str | None = column(
        TEXT, tags.account("user.unique_id", "identity provider"), null=True, unique=True
    )
    status: str = column(
        Known("customer_status", CustomerStatus),
        tags.account("user.account"),
        server_default=text("'ACTIVE'"),
    )
    created_at: datetime = column(TIME, tags.account("user.account"))
    last_active_at: datetime = column(TIME, tags.account("user.behavior"))
    restricted_at: datetime | None = column(TIME, tags.account("user.account", "privacy officer"), null=True)
    erased_at: datetime | None = column(TIME, tags.account("user.account", "privacy officer"), null=True)
    version: int = version()


class ConsentEvent(SQLModel, table=True):
    """Append only; the newest event of a customer and purpose counts (GDPR Article 7(1), (3))."""

    __tablename__ = "consent_event"
    __table_args__ = (
        one_of("purpose", ConsentPurpose),
        one_of("state", ConsentState),
        Index("consent_event_newest_first", "customer_id", "purpose", text("at DESC"), text("id DESC")),
        Index("consent_event_customer_page", "customer_id", "id"),
    )
    id: uuid.UUID = primary_key()
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"))
    purpose: str = column(TEXT, tags.consent("user.behavior.preferences"))
    state: str = column(TEXT, tags.consent("user.behavior.preferences"))
    at: datetime = column(TIME, tags.consent("user.behavior"))
    source: str = column(TEXT, tags.consent("user.behavior"))
    notice_version: str = column(TEXT, tags.consent("user.behavior"))
    text_digest: str = column(TEXT, tags.consent("user.behavior"))
    actor: str = column(TEXT, tags.consent("user.unique_id"))
    # What an employee who acts for the customer says proves the consent.
    evidence: str | None = column(TEXT, tags.consent("user.content", "employee"), null=True)


class Order(SQLModel, table=True):
    __tablename__ = "orders"
    __table_args__ = (
        one_of("status", OrderStatus),
        one_of("payment_method", PaymentMethod),
        one_of("payment_status", PaymentStatus),
        CheckConstraint("total >= 0", name="total_is_not_negative"),
        UniqueConstraint("id", "customer_id", name="orders_id_customer"),
        Index("orders_customer_page", "customer_id", "id"),
        Index("orders_placed_at", "placed_at", "id"),
        Index("orders_open", "id", postgresql_where=text("status NOT IN ('COMPLETED', 'CANCELLED')")),
    )
    id: uuid.UUID = primary_key()
    number: str = column(TEXT, tags.order("user.unique_id"), unique=True)
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("customer.id"))
    placed_at: datetime = column(TIME, tags.order("user.behavior.purchase_history"))
    status: str = column(TEXT, tags.order("user.behavior.purchase_history", source="order handling"))
    currency: str = column(TEXT, tags.order("user.behavior.purchase_history", "R-VOUCHER"))
    total: Decimal = column(MONEY, tags.order("user.behavior.purchase_history", "R-VOUCHER"))
    billing_name: str | None = column(TEXT, tags.order("user.name", "R-VOUCHER"), null=True)
    billing_street_address: str | None = column(
        TEXT, tags.order("user.contact.address.street", "R-VOUCHER"), null=True
    )
    billing_postal_code: str | None = column(
        TEXT, tags.order("user.contact.address.postal_code", "R-VOUCHER"), null=True
    )
    billing_postal_town: str | None = column(
        TEXT, tags.order("user.contact.address.city", "R-VOUCHER"), null=True
    )
    billing_country_code: str | None = column(
        TEXT, tags.order("user.contact.address.country", "R-VOUCHER"), null=True
    )
    payment_method: str = column(TEXT, tags.order("user.financial", "R-VOUCHER"))
    payment_status: str = column(TEXT, tags.order("user.financial", "R-VOUCHER", "payment provider"))
    customer_message: str | None = column(TEXT, tags.order("user.content", "R-DELIVERY"), null=True)
    internal_note: str | None = column(TEXT, tags.order("user.content", "R-DELIVERY", "employee"), null=True)
    version: int = version()


class OrderLine(SQLModel, table=True):
    __tablename__ = "order_line"
    __table_args__ = (
        of_order(),
        CheckConstraint("quantity > 0", name="quantity_is_positive"),
        Index("order_line_order_page", "order_id", "id"),
    )
    id: uuid.UUID = primary_key()
    order_id: uuid.UUID = column(Uuid(), TECHNICAL)
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL)
    sku: str = column(TEXT, PRODUCT_DATA)
    name: str = column(TEXT, PRODUCT_DATA)
    quantity: int = column(Integer(), tags.order("user.behavior.purchase_history", "R-VOUCHER"))
    unit_price: Decimal = column(MONEY, tags.order("user.behavior.purchase_history", "R-VOUCHER"))
    currency: str = column(TEXT, tags.order("user.behavior.purchase_history", "R-VOUCHER"))
    vat_rate: Decimal = column(Numeric(5, 2), PRODUCT_DATA)


class Carrier(SQLModel, table=True):
    __tablename__ = "carrier"
    id: uuid.UUID = primary_key()
    name: str = column(TEXT, CARRIER_DATA, unique=True)
    contact_email: str = column(TEXT, tags.staff("user.contact.email", "carrier", ("partner",)))
    active: bool = column(Boolean(), CARRIER_DATA, server_default=text("true"))
    version: int = version()


class CarrierService(SQLModel, table=True):
    """A service a carrier offers, and which of the recipient's contacts it needs."""

    __tablename__ = "carrier_service"
    carrier_id: uuid.UUID = Field(
        sa_column=Column(Uuid(), ForeignKey("carrier.id"), primary_key=True, info={"tag": TECHNICAL})
    )
    code: str = Field(sa_column=Column(TEXT, primary_key=True, info={"tag": CARRIER_DATA}))
    needs_phone: bool = column(Boolean(), CARRIER_DATA)
    needs_email: bool = column(Boolean(), CARRIER_DATA)
    tracking_url: str = column(TEXT, CARRIER_DATA)


class Delivery(SQLModel, table=True):
    __tablename__ = "delivery"
    __table_args__ = (
        one_of("status", DeliveryStatus),
        of_order(),
        UniqueConstraint("id", "customer_id", name="delivery_id_customer"),
        Index("delivery_order_page", "order_id", "id"),
        Index("delivery_carrier_page", "carrier_id", "id"),
        Index("delivery_customer_page", "customer_id", "id"),
        Index("delivery_tracking_code", "tracking_code"),
        Index(
            "delivery_not_final",
            "order_id",
            postgresql_where=text("status NOT IN ('DELIVERED', 'RETURNED', 'LOST', 'CANCELLED')"),
        ),
    )
    id: uuid.UUID = primary_key()
    reference: str = column(TEXT, tags.delivery("user.unique_id"), unique=True)
    order_id: uuid.UUID = column(Uuid(), TECHNICAL)
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL)
    carrier_id: uuid.UUID | None = column(Uuid(), TECHNICAL, ForeignKey("carrier.id"), null=True)
    service_code: str = column(TEXT, tags.delivery("user.behavior.purchase_history"))
    status: str = column(TEXT, tags.delivery("user.behavior.purchase_history", source="carrier event"))
    tracking_code: str | None = column(TEXT, tags.delivery("user.unique_id", source="carrier"), null=True)
    parcel_count: int = column(Integer(), tags.delivery("user.behavior.purchase_history"))
    weight_grams: int | None = column(
        Integer(), tags.delivery("user.behavior.purchase_history", source="warehouse"), null=True
    )
    recipient_name: str | None = column(TEXT, tags.delivery("user.name"), null=True)
    recipient_phone: str | None = column(
        TEXT, tags.delivery("user.contact.phone_number", "R-CONTACT"), null=True
    )
    recipient_email: str | None = column(TEXT, tags.delivery("user.contact.email", "R-CONTACT"), null=True)
    street_address: str | None = column(TEXT, tags.delivery("user.contact.address.street"), null=True)
    postal_code: str | None = column(TEXT, tags.delivery("user.contact.address.postal_code"), null=True)
    postal_town: str | None = column(TEXT, tags.delivery("user.contact.address.city"), null=True)
    country_code: str | None = column(TEXT, tags.delivery("user.contact.address.country"), null=True)
    pickup_point: str | None = column(TEXT, tags.delivery("user.location"), null=True)
    instructions: str | None = column(TEXT, tags.delivery("user.content", "R-CONTACT"), null=True)
    promised_at: datetime | None = column(TIME, tags.delivery("user.behavior.purchase_history"), null=True)
    created_at: datetime = column(TIME, tags.delivery("user.behavior.purchase_history"))
    handed_over_at: datetime | None = column(
        TIME, tags.delivery("user.behavior.purchase_history", source="carrier event"), null=True
    )
    delivered_at: datetime | None = column(
        TIME, tags.delivery("user.behavior.purchase_history", source="carrier event"), null=True
    )
    returned_at: datetime | None = column(
        TIME, tags.delivery("user.behavior.purchase_history", source="carrier event"), null=True
    )
    lost_at: datetime | None = column(
        TIME, tags.delivery("user.behavior.purchase_history", source="carrier event"), null=True
    )
    signed_by: str | None = column(TEXT, tags.delivery("user.name", source="carrier event"), null=True)
    version: int = version()


class DeliveryEvent(SQLModel, table=True):
    __tablename__ = "delivery_event"
    __table_args__ = (
        one_of("status", DeliveryStatus),
        belongs_to("delivery", "delivery_id"),
        CheckConstraint("length(note) <= 200", name="note_is_short"),
        UniqueConstraint("delivery_id", "idempotency_key", name="delivery_event_once"),
        Index("delivery_event_delivery_page", "delivery_id", "id"),
    )
    id: uuid.UUID = primary_key()
    delivery_id: uuid.UUID = column(Uuid(), TECHNICAL)
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL)
    status: str = column(TEXT, tags.delivery("user.behavior.purchase_history", source="carrier event"))
    occurred_at: datetime = column(
        TIME, tags.delivery("user.behavior.purchase_history", source="carrier event")
    )
    place: str | None = column(TEXT, tags.delivery("user.location", source="carrier event"), null=True)
    note: str | None = column(TEXT, tags.delivery("user.content", source="carrier event"), null=True)
    idempotency_key: uuid.UUID = column(Uuid(), TECHNICAL)


class Return(SQLModel, table=True):
    __tablename__ = "returns"
    __table_args__ = (
        one_of("kind", ReturnKind),
        one_of("status", ReturnStatus),
        CheckConstraint(
            "reason_code IN (" + ", ".join(f"'{reason.value}'" for reason in ReturnReason) + ")",
            name="reason_code_is_known",
        ),
        CheckConstraint("refund_amount >= 0", name="refund_amount_is_not_negative"),
        of_order(),
        UniqueConstraint("id", "customer_id", name="returns_id_customer"),
        Index("returns_order_page", "order_id", "id"),
        Index("returns_customer_page", "customer_id", "id"),
        Index("returns_not_final", "order_id", postgresql_where=text("status NOT IN ('CLOSED', 'REJECTED')")),
        # Refunds that are due, the most overdue first.
        Index(
            "returns_refund_due",
            *("refund_due_at", text("id DESC")),
            postgresql_where=text("refunded_at IS NULL"),
        ),
    )
    id: uuid.UUID = primary_key()
    number: str = column(TEXT, tags.returned("user.unique_id"), unique=True)
    order_id: uuid.UUID = column(Uuid(), TECHNICAL)
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL)
    kind: str = column(TEXT, tags.returned("user.behavior.purchase_history"))
    status: str = column(TEXT, tags.returned("user.behavior.purchase_history", source="return handling"))
    requested_at: datetime = column(TIME, tags.returned("user.behavior.purchase_history"))
    reason_code: str | None = column(TEXT, tags.returned("user.behavior.purchase_history"), null=True)
    reason_text: str | None = column(TEXT, tags.returned("user.content", "R-DELIVERY"), null=True)
    inspection_note: str | None = column(
        TEXT, tags.returned("user.content", "R-DELIVERY", "employee"), null=True
    )
    # requested_at + 14 days (Directive 2011/83/EU, Article 13(1))
    refund_due_at: datetime = column(TIME, tags.returned("user.financial", "R-VOUCHER"))
    refund_amount: Decimal | None = column(MONEY, tags.returned("user.financial", "R-VOUCHER"), null=True)
    currency: str = column(TEXT, tags.returned("user.financial", "R-VOUCHER"))
    refunded_at: datetime | None = column(TIME, tags.returned("user.financial", "R-VOUCHER"), null=True)
    refund_iban: str | None = column(TEXT, tags.returned("user.financial.bank_account", "R-IBAN"), null=True)
    version: int = version()


class ReturnLine(SQLModel, table=True):
    __tablename__ = "return_line"
    __table_args__ = (
        belongs_to("returns", "return_id"),
        CheckConstraint("quantity > 0", name="quantity_is_positive"),
        Index("return_line_return_page", "return_id", "id"),
    )
    id: uuid.UUID = primary_key()
    return_id: uuid.UUID = column(Uuid(), TECHNICAL)
    customer_id: uuid.UUID = column(Uuid(), TECHNICAL)
    order_line_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("order_line.id"))
    quantity: int = column(Integer(), tags.returned("user.behavior.purchase_history"))


class Employee(SQLModel, table=True):
    __tablename__ = "employee"
    id: uuid.UUID = primary_key()
    name: str = column(TEXT, tags.staff("user.name"))
    work_email: str = column(TEXT, tags.staff("user.contact.email"), unique=True)
    active: bool = column(Boolean(), tags.staff("user.account"), server_default=text("true"))
    # `sub` in the tokens of the company's identity provider.
    subject: str | None = column(
        TEXT, tags.staff("user.unique_id", "identity provider"), null=True, unique=True
    )


class Designation(SQLModel, table=True):
    """What makes an employee a support agent, a warehouse hand, …: who, what, why, by whom, from, to."""

    __tablename__ = "designation"
    __table_args__ = (
        one_of("role", StaffRole),
        CheckConstraint("valid_to <= valid_from + interval '12 months'", name="at_most_twelve_months"),
        CheckConstraint("designated_by <> employee_id", name="nobody_designates_themselves"),
        CheckConstraint("revoked_by <> employee_id", name="nobody_revokes_their_own"),
        CheckConstraint("valid_from < valid_to", name="holds_for_some_time"),
        CheckConstraint("btrim(reason) <> ''", name="has_a_reason"),
        Index("designation_employee", "employee_id"),
    )
    id: uuid.UUID = primary_key()
    employee_id: uuid.UUID = column(Uuid(), TECHNICAL, ForeignKey("employee.id"))
    role: str = column(TEXT, tags.staff("user.job_title"))
    reason: str = column(TEXT, tags.staff("user.job_title"))
    # Empty only for the first administrator, who is designated by command.
    designated_by: uuid.UUID | None = column(
        Uuid(), tags.staff("user.unique_id"), ForeignKey("employee.id"), null=True
    )
    valid_from: datetime = column(TIME, tags.staff("user.job_title"))
    valid_to: datetime = column(TIME, tags.staff("user.job_title"))
    revoked_at: datetime | None = column(TIME, tags.staff("user.job_title"), null=True)
    revoked_by: uuid.UUID | None = column(
        Uuid(), tags.staff("user.unique_id"), ForeignKey("employee.id"), null=True
    )
    revoked_reason: str | None = column(TEXT, tags.staff("user.job_title"), null=True)


class Setting(SQLModel, table=True):
    """Facts about this database itself, such as the seed of demo data."""

    __tablename__ = "setting"
    name: str = Field(sa_column=Column(TEXT, primary_key=True, info={"tag": TECHNICAL}))
    value: str = column(TEXT, TECHNICAL)
