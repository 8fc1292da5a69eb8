"""How mutations are declared: inputs whose fields name the coordinates they write, and what is given back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

import strawberry

T = TypeVar("T")

WRITES = "writes"
WRITTEN = "__written_entity__"


@strawberry.enum(description="Why the gateway did not do what was asked; the caller can mend it.")
class UserErrorCode(Enum):
    MALFORMED = strawberry.enum_value("MALFORMED", description="The value has not the form it needs.")
    REQUIRED = strawberry.enum_value("REQUIRED", description="A value is needed here.")
    OUT_OF_RANGE = strawberry.enum_value("OUT_OF_RANGE", description="The number is too small or too large.")
    NOT_FOUND = strawberry.enum_value("NOT_FOUND", description="There is no such thing for the caller.")
    CONFLICT = strawberry.enum_value(
        "CONFLICT", description="`ifVersion` or the idempotency key speaks of another state."
    )
    INVALID_TRANSITION = strawberry.enum_value(
        "INVALID_TRANSITION", description="The present status does not allow this step."
    )
    NOT_ALLOWED = strawberry.enum_value(
        "NOT_ALLOWED", description="Nobody may do this to themselves; somebody else can."
    )
    INVALID_CREDENTIALS = strawberry.enum_value(
        "INVALID_CREDENTIALS",
        description="What was given as proof is unknown, wrong, used, expired or not confirmed.",
    )


@strawberry.type(description="One thing the caller can mend; nothing was changed.")
class UserError:
    code: UserErrorCode = strawberry.field(description="What kind of mistake it is.")
    coordinate: str = strawberry.field(description="The coordinate it is about, such as `Customer.email`.")
    message: str = strawberry.field(description="What is wrong, in a sentence without the value.")
    path: list[str] = strawberry.field(description="Where in the input it stands.")
    current_version: int | None = strawberry.field(
        description="With CONFLICT over `ifVersion`: the number of the present state."
    )


class Writes(Enum):
    """What an input does to the rows its fields name."""

    CREATE = "create"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class ReadsFields:
    """An input field whose values are coordinates that the caller must be allowed to read."""


@dataclass(frozen=True, slots=True)
class Written:
    """An input field that writes a coordinate: the entity's field of its name, or `coordinate`."""

    coordinate: str | None = None


def sets(description: str, coordinate: str | None = None) -> Any:
    """An input field gated like the entity's field of the same name, or like `coordinate`."""
    return strawberry.field(
        description=description, default=strawberry.UNSET, metadata={WRITES: Written(coordinate)}
    )


def given(description: str) -> Any:
    """An input field that goes with the mutation's own grant: an id, `ifVersion`, a password."""
    return strawberry.field(description=description, default=strawberry.UNSET, metadata={WRITES: None})


def reads_fields(description: str) -> Any:
    """An input field that lists coordinates, each gated like reading it."""
    return strawberry.field(
        description=description, default=strawberry.UNSET, metadata={WRITES: ReadsFields()}
    )


def input_of(entity: str, writes: Writes, *, description: str) -> Callable[[type[T]], type[T]]:
    """Makes a class an input whose fields write fields of an entity."""

    def declare(declared: type[T]) -> type[T]:
        setattr(declared, WRITTEN, (entity, writes))
        return strawberry.input(declared, description=description)

    return declare


class Becomes(Enum):
    """As whom an anonymous caller is answered by what it has just made."""

    CUSTOMER = "customer"
    BUYER = "buyer of one order"


@dataclass(frozen=True, slots=True)
class Declared:
    """A mutation: its input, the entities of its payload and what else the payload says.

    One that goes `alone` is the only change of its operation: what proves who somebody is must not be tried
    many times in one request. `alone_with` names input fields with which it does.
    """

    input: type
    description: str
    entities: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    becomes: Becomes | None = None
    alone: bool = False
    alone_with: frozenset[str] = frozenset()


@strawberry.input(description="A postal address.")
class AddressInput:
    street_address: str | None = given("Street, house number, flat.")
    postal_code: str | None = given("Postal code.")
    postal_town: str | None = given("Postal town.")
    country_code: str | None = given("Country, as its ISO 3166-1 code.")


KEY = "A UUID of the caller's choice: the same key makes the same thing once, for 24 hours."
IF_VERSION = "Change it only if this is still the number of its present state."
