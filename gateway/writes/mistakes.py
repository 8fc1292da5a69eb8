"""What a caller can mend about a change: answered in `userErrors`, with nothing changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schema.writing import UserErrorCode


@dataclass(frozen=True, slots=True)
class Mistake:
    """One entry of `userErrors`; the message names no value."""

    code: UserErrorCode
    coordinate: str
    message: str
    path: tuple[str, ...] = ()
    current_version: int | None = None

    def shown(self) -> dict[str, object]:
        """The entry by GraphQL field."""
        return {
            "code": str(self.code.value),
            "coordinate": self.coordinate,
            "message": self.message,
            "path": list(self.path),
            "currentVersion": self.current_version,
        }


class Rejected(Exception):
    """Nothing is changed; `shown` are the keys of the entities the payload still shows."""

    def __init__(self, *mistakes: Mistake, shown: Mapping[str, object] | None = None) -> None:
        super().__init__(", ".join(str(mistake.code.value) for mistake in mistakes))
        self.mistakes = mistakes
        self.shown = shown or {}


class RowRefused(Exception):
    """The row is there for the caller, and these coordinates may not be changed on it."""

    def __init__(self, coordinates: tuple[str, ...], use: str) -> None:
        super().__init__(", ".join(coordinates))
        self.coordinates = coordinates
        self.use = use


@dataclass(slots=True)
class Mistakes:
    """Collects what is wrong with an input, so that the caller hears of all of it at once."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, code: UserErrorCode, coordinate: str, message: str, *path: str) -> None:
        """Remembers one mistake."""
        self.found.append(Mistake(code, coordinate, message, path))

    def check(self) -> None:
        """Raises `Rejected` where something was found."""
        if self.found:
            raise Rejected(*self.found)


def not_found(coordinate: str, *path: str) -> Rejected:
    """The row is not there for the caller: it does not exist, or they do not see it."""
    message = f"there is no such `{coordinate.partition('.')[0]}`"
    return Rejected(Mistake(UserErrorCode.NOT_FOUND, coordinate, message, path))
