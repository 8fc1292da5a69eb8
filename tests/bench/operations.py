"""Twenty operations as clients write them; `?` stands where a new alias makes each text a new one."""

from __future__ import annotations

from dataclasses import dataclass

SERVICE = "customer-service"


@dataclass(frozen=True, slots=True)
class New:
    """An operation that no cache knows, and for which role and purpose it is planned."""

    role: str
    purpose: str | None
    document: str

    def text(self, number: int) -> str:
        """A text that was not asked before."""
        return self.document.replace("?", f"new{number}")


OPERATIONS = (
    New("customer", None, "{ ?: customers { nodes { firstName surname email phone } } }"),
    New("customer", None, "{ ?: orders(first: 5) { totalCount nodes { number status total { amount } } } }"),
    New(
        "customer", None, "{ ?: returns { nodes { number kind status refundIban refundAmount { amount } } } }"
    ),
    New(
        "customer",
        None,
        "query A($id: ID!) { ?: customer(id: $id) { id firstName orders(first: 10) { nodes { number placedAt"
        " lines { nodes { sku name quantity } } deliveries { nodes { carrier { name } status } } } } } }",
    ),
    New(
        "customer",
        None,
        "{ ?: deliveries(first: 20, orderBy: [{promisedAt: ASC}]) { edges { cursor node { reference"
        " status trackingUrl events { nodes { status occurredAt place } } } } pageInfo { endCursor } } }",
    ),
    New("customer", None, "query B($id: ID!) { ?: node(id: $id) { id ... on Order { number status } } }"),
    New(
        "carrier",
        None,
        "{ ?: deliveries(first: 50) { nodes { reference status trackingCode parcelCount } } }",
    ),
    New(
        "carrier",
        None,
        "{ ?: deliveries(first: 100) { totalCount nodes { id status recipientName recipientPhone"
        " recipientEmail streetAddress postalCode postalTown countryCode instructions } } }",
    ),
    New(
        "carrier",
        None,
        "{ ?: deliveries(where: {status: {in: [IN_TRANSIT, AT_PICKUP_POINT]}}) { nodes { reference"
        " pickupPoint events(last: 1) { nodes { status occurredAt note } } } } }",
    ),
    New("carrier", None, "{ ?: carriers { nodes { name active contactEmail } } }"),
    New("support", None, "{ ?: customers { nodes { number firstName surname phone email status } } }"),
    New(
        "support", SERVICE, "query C($email: String!) { ?: customer(email: $email) { id firstName surname } }"
    ),
    New(
        "support",
        SERVICE,
        "{ ?: orders(first: 20, where: {status: {eq: PICKING}}) { totalCount nodes { number customer {"
        " firstName surname phone } billingName billingAddress { streetAddress postalTown } } } }",
    ),
    New(
        "support",
        SERVICE,
        "query D($after: String) { ?: customers(first: 50, after: $after, orderBy: [{createdAt: DESC}]) {"
        " edges { cursor node { number email consents { nodes { state at } } } } pageInfo { endCursor } } }",
    ),
    New(
        "support",
        SERVICE,
        "{ ?: deliveries(where: {order: {status: {eq: SHIPPED}}, not: {trackingCode: {isNull: true}}}) { "
        " nodes { reference recipientName order { number customer { number } } } } }",
    ),
    New(
        "warehouse",
        None,
        "{ ?: orders(first: 30) { nodes { number status lines { nodes { sku name quantity } } deliveries {"
        " nodes { reference serviceCode status } } } } }",
    ),
    New(
        "warehouse",
        "returns",
        "{ ?: returns(first: 30) { nodes { number status lines { nodes { quantity } } } } }",
    ),
    New(
        "finance",
        None,
        "{ ?: orders(first: 50) { nodes { number total { amount currency } paymentStatus } } }",
    ),
    New("marketing", None, "{ ?: customers(first: 50) { totalCount nodes { id email marketingConsent } } }"),
    New(
        "privacy_officer",
        "subject-rights",
        "query E($number: String!) { ?: customer(number: $number) { number restrictedAt consents { nodes {"
        " purpose state at source } } orders {"
        " nodes { number returns { nodes { number status } } } } } }",
    ),
)
