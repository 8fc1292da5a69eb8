"""What a token is limited to, read from an input and held against what it may at most be."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schema.writing import UserErrorCode

from ..client_address import Network, is_inside, read_network
from ..plan.judge import may_ask
from .mistakes import Mistakes
from .rows import find_rows
from .work import Work

MOST = 1000
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a token is limited to: no operations or networks, or None, is no limit of that kind."""

    operations: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    documents: frozenset[str] | None = None
    deliveries: frozenset[uuid.UUID] | None = None

    @classmethod
    def of(cls, row: Any) -> Limits:
        """Those of a token's row."""
        return cls(
            frozenset(row["operations"]),
            tuple(read_network(network) for network in row["networks"]),
            None if row["documents"] is None else frozenset(row["documents"]),
            None if row["deliveries"] is None else frozenset(row["deliveries"]),
        )

    def columns(self) -> dict[str, object]:
        """The values of the table's columns."""
        return {
            "operations": sorted(self.operations),
            "networks": [str(network) for network in self.networks],
            "documents": None if self.documents is None else sorted(self.documents),
            "deliveries": None if self.deliveries is None else sorted(self.deliveries),
        }


class LimitsReader:
    """Reads the limits in an input; what is not given is as in `widest`, what is wider is a mistake."""

    def __init__(self, work: Work, role: str, widest: Limits, mistakes: Mistakes) -> None:
        self._work = work
        self._role = role
        self._widest = widest
        self._mistakes = mistakes

    def read(self) -> Limits:
        """The limits, where no mistake was found."""
        widest = self._widest
        operations = self._each("operations", self._operation)
        networks = self._each("networks", self._network)
        documents = self._each("documents", self._document)
        deliveries = self._each("deliveries", self._delivery)
        return Limits(
            widest.operations if operations is None else frozenset(operations),
            widest.networks if networks is None else tuple(dict.fromkeys(networks)),
            widest.documents if documents is None else frozenset(documents),
            widest.deliveries if deliveries is None else frozenset(deliveries),
        )

    def _each(self, name: str, read: Callable[[str, str], Any]) -> list[Any] | None:
        """Every entry of a list that could be read; None where no list is given."""
        given: Sequence[str] | None = self._work.input.get(name)
        if given is None:
            return None
        if not 1 <= len(given) <= MOST:
            message = f"from 1 to {MOST} are taken; without a limit the field is left out"
            self._add(UserErrorCode.OUT_OF_RANGE, message, name)
            return []
        found = [read(value, str(place)) for place, value in enumerate(given)]
        return [value for value in found if value is not None]

    def _operation(self, value: str, place: str) -> str | None:
        if value not in self._work.tools.partner_roots[self._role]:
            message = "the role of the token may ask no such root field"
            self._add(UserErrorCode.MALFORMED, message, "operations", place)
            return None
        if not may_ask(self._widest.operations, value):
            self._wider("operations", place)
            return None
        return value

    def _network(self, value: str, place: str) -> Network | None:
        try:
            network = read_network(value)
        except ValueError:
            message = "the value is no network in CIDR notation"
            self._add(UserErrorCode.MALFORMED, message, "networks", place)
            return None
        if self._widest.networks and not is_inside(network, self._widest.networks):
            self._wider("networks", place)
            return None
        return network

    def _document(self, value: str, place: str) -> str | None:
        digest = value.lower()
        if not _DIGEST.fullmatch(digest):
            message = "the value is no SHA-256 in hexadecimal"
            self._add(UserErrorCode.MALFORMED, message, "documents", place)
            return None
        if self._widest.documents is not None and digest not in self._widest.documents:
            self._wider("documents", place)
            return None
        return digest

    def _delivery(self, value: str, place: str) -> uuid.UUID | None:
        key = self._work.key_in(value, "Delivery")
        if self._role != "carrier":
            message = "only a carrier's token is for deliveries"
            self._add(UserErrorCode.OUT_OF_RANGE, message, "deliveries", place)
            return None
        return key  # whether it is there for the caller is asked of the database

    def _wider(self, name: str, place: str) -> None:
        self._add(UserErrorCode.OUT_OF_RANGE, "the token asked with is narrower", name, place)

    def _add(self, code: UserErrorCode, message: str, *path: str) -> None:
        coordinate = f"{self._work.write.root.mutation.input.name}.{path[0]}"
        self._mistakes.add(code, coordinate, message, *path)


async def check_deliveries(work: Work, carrier: uuid.UUID | None, limits: Limits) -> None:
    """Raises NOT_FOUND for each delivery that is not there for the caller, or is not that carrier's."""
    if work.input.get("deliveries") is None or limits.deliveries is None:
        return
    target = work.target("Delivery", ())
    keys = sorted(limits.deliveries)
    rows = await work.rows(find_rows(target, ("carrier_id",), locks=False), keys=keys)
    seen = {row["id"] for row in rows if row["carrier_id"] == carrier}
    mistakes = Mistakes()
    for place, value in enumerate(work.input["deliveries"]):
        if work.key_in(value, "Delivery") not in seen:
            message = "there is no such `Delivery`"
            mistakes.add(UserErrorCode.NOT_FOUND, "Delivery.id", message, "deliveries", str(place))
    mistakes.check()


def check_end(work: Work, end: datetime, latest: datetime, mistakes: Mistakes) -> None:
    """Adds a mistake where a token would end in the past or too late."""
    if not work.now < end <= latest:
        coordinate = f"{work.write.root.mutation.input.name}.expiresAt"
        message = "the end is past" if end <= work.now else "the end is later than it may be"
        mistakes.add(UserErrorCode.OUT_OF_RANGE, coordinate, message, "expiresAt")
