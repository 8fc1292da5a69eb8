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
