"""Customers and their consents, and how many orders of which kind each has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from gateway.demo.draw import DAY, HOUR
from gateway.demo.orders import OrderNumbers, add_order
from gateway.demo.people import Person
from gateway.demo.plans import (
    CLOSED_AGE_DAYS,
    OrderPlan,
    closed_plan,
    coverage,
    drawn_plan,
    printed_customer,
    second_customer,
)
from gateway.demo.rows import NULL, Row
from gateway.demo.scene import LATEST, Buyer, Scene

HISTORY_DAYS = 3 * 365
YOUNGEST = -2 * HOUR
NOTICE_VERSION = "2026-1"
CONSENT_TEXT = "Kyllä, haluan uutiskirjeen sähköpostiini. Voin perua sen milloin tahansa."
CONSENT_DIGEST = hashlib.sha256(CONSENT_TEXT.encode()).hexdigest()

# Customers come in rounds of twenty: the places of a guest, of a plain customer, of one who may be restricted
# and of one who may be erased, with their numbers of orders, then the other sixteen in any order.
ROUND = 20
GUEST, PLAIN, RESTRICTED, ERASED = range(4)
FIXED_COUNTS = (2, 3, 3, 2)
COUNTS = (0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 7, 9)
# The first round makes up for the printed customer's nine orders, so that the mean is three.
FIRST_COUNTS = (0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5)
MEAN_COUNT = 3
# One round in nine has a restricted and an erased customer: about one in two hundred of each.
MARKED_ROUNDS = 9

GIVEN, REFUSED, WITHDRAWN = "GIVEN", "REFUSED", "WITHDRAWN"
AT_FIRST, BY_CUSTOMER, BY_LINK = "REGISTRATION", "CUSTOMER", "UNSUBSCRIBE_LINK"
Decision = tuple[str, str]
AGREES: tuple[Decision, ...] = ((GIVEN, AT_FIRST),)
REFUSES: tuple[Decision, ...] = ((REFUSED, AT_FIRST),)
AGREES_LATER = (*REFUSES, (GIVEN, BY_CUSTOMER))
UNSUBSCRIBES = (*AGREES, (WITHDRAWN, BY_LINK))
WITHDRAWS = (*AGREES, (WITHDRAWN, BY_CUSTOMER))
RETURNS_TO_IT = (*UNSUBSCRIBES, (GIVEN, BY_CUSTOMER))
# By place in the round: a guest is never asked, nine in twenty agree in the end.
DECISIONS: tuple[tuple[Decision, ...], ...] = (
    (),
    REFUSES,
    AGREES,
    AGREES,
    *(AGREES, REFUSES, UNSUBSCRIBES, AGREES_LATER, AGREES, REFUSES, WITHDRAWS, AGREES),
    *(REFUSES, RETURNS_TO_IT, REFUSES, UNSUBSCRIBES, AGREES, REFUSES, AGREES, WITHDRAWS),
)


class Kind(NamedTuple):
    """What sort of customer: how many orders, which consents, and whether restricted or erased."""

    orders: int
    decisions: tuple[Decision, ...]
    is_guest: bool = False
    status: str = "ACTIVE"


class Register:
    """Draws the customers one after the other, the longest known first."""

    def __init__(self, scene: Scene, customers: int) -> None:
        self._scene = scene
        self._customers = customers
        self._numbers = OrderNumbers()
        self._coverage = coverage()
        self._counts: list[int] = []

    def add_customer(self, number: int) -> str:
        """The id of the customer with this number, counted from 1, whose rows are added with all orders."""
        draw = self._scene.draw
        created = self._created(number)
        person = self._scene.people.person(number)
        kind = self._kind(number, created)
        buyer = Buyer(draw.id(created), person, kind.status == "ERASED")
        placed = [
            add_order(self._scene, self._numbers, buyer, plan) for plan in self._plans(number, kind, created)
        ]
        last_order = max(placed, default=created)
        limit = -CLOSED_AGE_DAYS * DAY if kind.status != "ACTIVE" else LATEST
        decided = self._add_consents(buyer.id, kind.decisions, created, limit)
        self._add_row(number, buyer, kind, created, max(created, last_order, decided))
        return buyer.id

    def _created(self, number: int) -> int:
        """More in the early years than lately, so that most have had time to come back."""
        left = (self._customers - number + self._scene.draw.share()) / self._customers
        return min(YOUNGEST, -int(HISTORY_DAYS * DAY * left**0.5))

    def _kind(self, number: int, created: int) -> Kind:
        if number == 1:
            return Kind(9, RETURNS_TO_IT)
        if number == 2:
            return Kind(3, AGREES)
        turn, place = divmod(number - 3, ROUND)
        if place == 0:
            self._counts = self._round_counts(turn)
        kind = Kind(self._counts[place], DECISIONS[place], is_guest=place == GUEST)
        is_marked = turn % MARKED_ROUNDS == 0 and created < -2 * CLOSED_AGE_DAYS * DAY
        if is_marked and place in (RESTRICTED, ERASED):
            return kind._replace(status="RESTRICTED" if place == RESTRICTED else "ERASED")
        return kind

    def _round_counts(self, turn: int) -> list[int]:
        left = self._customers - 2 - turn * ROUND
        if left < ROUND:
            return [MEAN_COUNT] * left
        counts = list(COUNTS if turn else FIRST_COUNTS)
        self._scene.draw.shuffle(counts)
        return [*FIXED_COUNTS, *counts]

    def _plans(self, number: int, kind: Kind, created: int) -> Iterator[OrderPlan]:
        draw = self._scene.draw
        if number <= 2:
            yield from printed_customer() if number == 1 else second_customer()
            return
        known_days = -created / DAY
        for turn in range(kind.orders):
            if kind.status != "ACTIVE":
                yield closed_plan(draw, CLOSED_AGE_DAYS + draw.share() * (known_days - CLOSED_AGE_DAYS))
            elif kind.is_guest and turn == 0:
                yield drawn_plan(draw, known_days)  # a guest is known since the first order
            else:
                yield next(self._coverage, None) or drawn_plan(draw, draw.share() * known_days)

    def _add_consents(
        self, customer_id: str, decisions: tuple[Decision, ...], created: int, limit: int
    ) -> int:
        """The moment of the last decision; the rows of all are added."""
        draw = self._scene.draw
        at = created
        for state, source in decisions:
            if source != AT_FIRST:
                at = draw.between(at, limit)
            self._scene.rows.add(
                "consent_event",
                {
                    "id": draw.id(at),
                    "customer_id": customer_id,
                    "purpose": "NEWSLETTER",
                    "state": state,
                    "at": draw.time(at),
                    "source": source,
                    "notice_version": NOTICE_VERSION,
                    "text_digest": CONSENT_DIGEST,
                    "actor": "customer",
                },
            )
        return at

    def _add_row(self, number: int, buyer: Buyer, kind: Kind, created: int, active: int) -> None:
        draw = self._scene.draw
        marked = NULL if kind.status == "ACTIVE" else draw.time(draw.between(-100 * DAY, -DAY))
        personal: Row = dict.fromkeys(Person._fields, NULL) if buyer.is_erased else buyer.person._asdict()
        self._scene.rows.add(
            "customer",
            {
                "id": buyer.id,
                "number": f"C-{number:06}",
                **personal,
                "marketing_consent": str(bool(kind.decisions) and kind.decisions[-1][0] == GIVEN),
                "unsubscribe_token": draw.token(),
                "status": kind.status,
                "created_at": draw.time(created),
                "last_active_at": draw.time(active),
                "restricted_at": marked if kind.status == "RESTRICTED" else NULL,
                "erased_at": marked if kind.status == "ERASED" else NULL,
            },
        )
