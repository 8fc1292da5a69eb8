"""What is mailed: the kinds of messages and their plain text."""

from __future__ import annotations

from dataclasses import dataclass


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


def password_changed() -> Letter:
    """What tells a customer that their password is another."""
    body = """Hello,

the password of your account with the store was changed, and you were signed out elsewhere.

If it was not you, set a new one at once: ask for it where you sign in.
"""
    return Letter("password-changed", "Your password was changed", body)
