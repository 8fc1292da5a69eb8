"""What each column holds in the words of data protection: the tag drives export, erasure and the record.

Categories are fideslang data-category keys; the basis is a letter of GDPR Article 6(1); retention names a
rule of `policies/retention.yaml`; the source says where the value comes from (GDPR Article 14(2)(f)); the
subjects are the categories of people it is about, of `policies/controller.yaml` (GDPR Article 30(1)(c)).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Personal:
    """The tag of a column that holds a datum about a person."""

    category: str
    basis: str
    purposes: tuple[str, ...]
    retention: str
    source: str
    subjects: tuple[str, ...] = ("customer",)


@dataclass(frozen=True, slots=True)
class NotPersonal:
    """The tag of a column that says nothing about a person; `reason` says why that holds."""

    reason: str


Tag = Personal | NotPersonal


ACCOUNT_PURPOSES = ("account", "customer-service", "order-fulfilment", "subject-rights")
ORDER_PURPOSES = ("order-fulfilment", "customer-service", "accounting", "subject-rights")
DELIVERY_PURPOSES = ("delivery", "order-fulfilment", "customer-service", "subject-rights")
RETURN_PURPOSES = ("returns", "customer-service", "accounting", "subject-rights")
STAFF_PURPOSES = ("security",)

CARRIER_DATA = NotPersonal("a fact about a company")
PRODUCT_DATA = NotPersonal("a fact about a product")
TECHNICAL = NotPersonal("a technical value without meaning outside the system")


def account(category: str, source: str = "registration, checkout, customer, staff on behalf") -> Personal:
    """A datum of the customer's profile, kept while the relationship is in force."""
    return Personal(category, "b", ACCOUNT_PURPOSES, "R-ACCOUNT", source)


def order(category: str, retention: str = "R-CLAIM", source: str = "checkout") -> Personal:
    """A datum of an order."""
    return Personal(category, "b", ORDER_PURPOSES, retention, source)


def delivery(category: str, retention: str = "R-DELIVERY", source: str = "checkout, customer") -> Personal:
    """A datum of a delivery."""
    return Personal(category, "b", DELIVERY_PURPOSES, retention, source, ("customer", "recipient"))


def returned(
    category: str, retention: str = "R-CLAIM", source: str = "customer, staff on behalf"
) -> Personal:
    """A datum of a return."""
    return Personal(category, "b", RETURN_PURPOSES, retention, source)


def staff(category: str, source: str = "employer", subjects: tuple[str, ...] = ("employee",)) -> Personal:
    """A datum about an employee or a partner's user, kept for the access record."""
    return Personal(category, "f", STAFF_PURPOSES, "R-ACCESS", source, subjects)


def consent(category: str, source: str = "registration, customer, unsubscribe link") -> Personal:
    """A datum that proves consent (GDPR Article 7(1))."""
    return Personal(category, "a", ("newsletter", "subject-rights"), "R-CONSENT", source)


def access(category: str) -> Personal:
    """A datum of a record of access, kept so that a look into personal data can be answered for."""
    subjects = ("customer", "employee", "partner")
    return Personal(
        category, "c", ("security", "subject-rights"), "R-ACCESS", "made by the gateway", subjects
    )


def request(category: str) -> Personal:
    """A datum of a request about one's data, or of a hold on it (GDPR Articles 12, 17 and 18)."""
    return Personal(category, "c", ("subject-rights",), "R-DISCLOSURE", "customer, employee")


def disclosure(category: str) -> Personal:
    """A datum of a disclosure (GDPR Articles 15(1)(c) and 19)."""
    return Personal(category, "c", ("security", "subject-rights"), "R-DISCLOSURE", "made by the gateway")
