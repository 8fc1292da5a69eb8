"""What is mailed: the kinds of messages and their plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Letter:
    """A message without its recipient; `kind` is what the table tells them apart by."""

    kind: str
    subject: str
    body: str


def order_access(public_url: str, number: str, token: str, days: int) -> Letter:
    """The link to one order.

    The token stands behind the `#`: a browser sends that part to no server, so that no log holds it.
    """
    body = f"""Hello,

somebody, probably you, asked for a link to the order {number}:

{public_url.rstrip("/")}/order#{token}

The link holds for {days} days and shows this order alone. Whoever has it can see the order and act on it,
so do not pass it on. If you did not ask for it, you need do nothing.
"""
    return Letter("order-access", f"Your order {number}", body)


def email_confirmation(public_url: str, token: str, hours: int) -> Letter:
    """The link that confirms an address; who reads it may be somebody else than who typed the address in."""
    body = f"""Hello,

somebody, probably you, gave this address for their account with the store. If it was you, confirm it:

{public_url.rstrip("/")}/confirm-email#{token}

The link holds for {hours} hours and works once. If it was not you, do not use it: whoever gave the address
chose the password, too. Where you have an account with this address already, nothing changes about it.
"""
    return Letter("email-confirmation", "Confirm your address", body)


def password_reset(public_url: str, token: str, minutes: int) -> Letter:
    """The link to set a new password."""
    body = f"""Hello,

somebody, probably you, asked to set a new password for your account with the store:

{public_url.rstrip("/")}/reset-password#{token}

The link holds for {minutes} minutes and works once. If you did not ask for it, you need do nothing: your
password stays as it is.
"""
    return Letter("password-reset", "Set a new password", body)


def address_changing() -> Letter:
    """What tells a customer at their present address that another one was given."""
    body = """Hello,

another e-mail address was given for your account with the store. You sign in with this one until the other is
confirmed.

If it was not you, set a new password at once: that makes the link to the other address good for nothing.
"""
    return Letter("address-changing", "Another address was given for your account", body)


def account_ending(public_url: str, last_day: date) -> Letter:
    """What warns a customer that their data goes, as they were not active for so long."""
    day = f"{last_day.day}.{last_day.month}.{last_day.year}"
    body = f"""Hello,

you have not used your account with the store, nor ordered anything, for a long time. Your name, address and
contact details are kept until {day} and deleted after that day. What the law has us keep of your orders
stays for as long as it says.

If you want to stay a customer, sign in once before that: {public_url}
If not, you need do nothing.
"""
    return Letter("account-ending", "Your data will be deleted", body)


def password_changed() -> Letter:
    """What tells a customer that their password is another."""
    body = """Hello,

the password of your account with the store was changed, and you were signed out elsewhere.

If it was not you, set a new one at once: ask for it where you sign in.
"""
    return Letter("password-changed", "Your password was changed", body)


@dataclass(frozen=True, slots=True)
class Goods:
    """One product that a customer sends back, at what it was bought for."""

    name: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a customer withdrew from, when, and until when they are paid back."""

    number: str
    order: str
    at: datetime
    refund_due_at: datetime
    currency: str
    goods: Sequence[Goods]


def withdrawal_receipt(of: Withdrawal) -> Letter:
    """The acknowledgement of a withdrawal (Directive 2011/83/EU, Article 11(3)); it names nobody."""
    lines = [
        f"{one.quantity} x {one.name}, {one.unit_price} {of.currency} each: "
        f"{one.quantity * one.unit_price} {of.currency}"
        for one in of.goods
    ]
    total = sum((one.quantity * one.unit_price for one in of.goods), Decimal("0.00"))
    body = f"""Hello,

the store has your withdrawal from the purchase of these goods:

{chr(10).join(lines)}

Total: {total} {of.currency}
Order: {of.order}
Return: {of.number}
Received: {of.at:%Y-%m-%d %H:%M:%S} UTC
Refund due: {of.refund_due_at:%Y-%m-%d}

Keep this letter: it is your receipt.
"""
    return Letter("withdrawal-receipt", f"Your withdrawal {of.number}", body)


def erasure_asked(takes_place: datetime) -> Letter:
    """What tells a customer that an erasure was asked for, while it can be taken back."""
    body = f"""Hello,

you asked us to erase your data. We do so from {takes_place:%-d.%-m.%Y} on; until then you can take it back in
your account, or with the link to your order.

If it was not you, take it back now, and set a new password.
"""
    return Letter("erasure-asked", "You asked for the erasure of your data", body)


def erasure_done(kept: Iterable[Mapping[str, object]]) -> Letter:
    """What tells a person that they are erased, and what stays until when and why (GDPR Article 12)."""
    lines = "\n".join(
        f"- {one['coordinate']}: {one['until'] or 'until then'}, {one['basis']}" for one in kept
    )
    body = f"""Hello,

your data is erased, and this address with this message. The law has us keep some of it, each until its date:

{lines or "- nothing"}

Whoever was given your data by us in the last 180 days is told of it. You can lodge a complaint with the data
protection authority, or go to court.
"""
    return Letter("erasure-done", "Your data is erased", body)


def erasure_notice(references: Sequence[str], ids: Sequence[str]) -> Letter:
    """What tells a recipient of an erasure (GDPR Article 19): by what it knows the person, and no value."""
    lines = "\n".join(f"- {one}" for one in (*references, *ids))
    body = f"""Hello,

we have erased the data of a customer at their request (GDPR Article 17), and tell you as we gave you some of
it (Article 19). Erase what you hold of it, unless a law has you keep it. It is about:

{lines}
"""
    return Letter("erasure-notice", "Notice of an erasure (GDPR Article 19)", body)


def request_refused(reason: str) -> Letter:
    """What tells a person why nothing is done, and what they can do about that (GDPR Article 12(4))."""
    body = f"""Hello,

we have not done what you asked about your data, because:

{reason}

You can lodge a complaint with the data protection authority, or go to court.
"""
    return Letter("request-refused", "Your request about your data", body)


def request_taken_back() -> Letter:
    """What tells a person that somebody took a request back for them."""
    body = """Hello,

what you asked about your data was taken back on your behalf, and is not done. If you did not want that, ask
again, in your account or of us.
"""
    return Letter("request-taken-back", "Your request about your data was taken back", body)


def request_put_off(until: datetime, reason: str) -> Letter:
    """What tells a person that the answer takes longer, and why (GDPR Article 12(3))."""
    body = f"""Hello,

what you asked about your data takes us longer, until {until:%-d.%-m.%Y}, because:

{reason}
"""
    return Letter("request-put-off", "Your request about your data takes longer", body)


def restriction_begins() -> Letter:
    """What tells a customer that their data is not used for now."""
    body = """Hello,

as you asked, your data is not used for now: you alone can see it, and who answers for data protection.
"""
    return Letter("restriction-begins", "Your data is not used for now", body)


def restriction_ends() -> Letter:
    """What tells a customer, before it is so, that their data is used again (GDPR Article 18(3))."""
    body = """Hello,

the restriction on the use of your data ends with this letter: from now on it is used again for what the
privacy notice says.
"""
    return Letter("restriction-ends", "Your data is used again", body)


def data_copy(link: str, days: int) -> Letter:
    """The link to a copy of the person's data; it holds nothing of whom it is for."""
    body = f"""Hello,

here is the copy of your personal data that you asked us for:

{link}

The link holds for {days} days. Whoever has it can fetch the copy, so do not pass it on. It is a file for
programs (JSON), with a heading for each part.

If you did not ask for it, somebody else did, in your account or of us: set a new password, and tell us.
"""
    return Letter("data-copy", "A copy of your personal data", body)
