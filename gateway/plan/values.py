"""The plan of an operation, as frozen values: what may be seen, how it is found, what was refused.

Nothing here knows SQL. `gateway.statements` turns a `Plan`, and only a `Plan`, into one statement.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from graphql import FieldNode

from schema.model import Entity, Field, text_of
from schema.mutation import Mutation
from schema.scalars import read_global_id

from ..errors import Code, Location, fault
from ..grants import Masked, PerRow, Shown
from ..row_rules import Scope

# ---------------------------------------------------------------- values bound when the statement runs


@dataclass(frozen=True, slots=True)
class Given:
    """A value that stands in the document."""

    value: object


@dataclass(frozen=True, slots=True)
class FromVariable:
    """A value inside a coerced variable: the variable's name, then keys and indices."""

    name: str
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list whose entries stand in the document."""

    items: tuple[Given | FromVariable, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text becomes a key: `code` is the fault where it is none, `types` those it may be of."""

    code: Code
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Operand:
    """A value of the caller's, bound when the statement runs; a global id or cursor becomes its key."""

    source: Given | FromVariable | Listed
    location: Location | None
    reading: Reading | None = None

    def read(self, variables: Mapping[str, object]) -> object:
        """The value for these variables; raises `RequestError` where a global id or cursor is none."""
        match self.source:
            case Listed(items):
                value: object = [_fetch(item, variables) for item in items]
            case Given() | FromVariable() as single:
                value = _fetch(single, variables)
        if self.reading is None:
            return [text_of(item) for item in value] if isinstance(value, list) else value
        return [self._key(text) for text in value] if isinstance(value, list) else self._key(value)

    def type_names(self, variables: Mapping[str, object]) -> list[str]:
        """The types named by the global ids, in their order; the plan's key holds which ones occur."""
        match self.source:
            case Listed(items):
                texts = [_fetch(item, variables) for item in items]
            case Given() | FromVariable() as single:
                value = _fetch(single, variables)
                texts = value if isinstance(value, list) else [value]
        found = (read_global_id(text) for text in texts if isinstance(text, str))
        return [key[0] for key in found if key is not None]

    def _key(self, text: object) -> uuid.UUID:
        found = read_global_id(text) if isinstance(text, str) else None
        reading = self.reading
        if found is None or reading is None or found[0] not in reading.types:
            code = reading.code if reading else Code.BAD_ID
            wanted = "cursor of this list" if code is Code.BAD_CURSOR else "global id of this type"
            raise fault(code, f"the value is no {wanted}", self.location)
        return found[1]


def _fetch(source: Given | FromVariable, variables: Mapping[str, object]) -> object:
    match source:
        case Given(value):
            return value
        case FromVariable(name, path):
            found: object = variables[name]
            for step in path:
                found = found[step]  # type: ignore[index]  # the plan's key holds the shape of the variable
            return found


# ---------------------------------------------------------------- conditions


@dataclass(frozen=True, slots=True)
class Compare:
    field: Field
    operator: str
    operand: Operand


@dataclass(frozen=True, slots=True)
class IsNull:
    field: Field
    wanted: bool


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


@dataclass(frozen=True, slots=True)
class Related:
    """At least one row of the relation, visible under `rules`, meets the condition."""

    field: Field
    entity: Entity
    rules: frozenset[str]
    condition: Condition


Condition = Compare | IsNull | AllOf | AnyOf | Not | Related


# ---------------------------------------------------------------- what is shown


@dataclass(frozen=True, slots=True)
class Constant:
    """A text known from the document alone (`__typename`), or null where a field was refused."""

    key: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Value:
    """A field of the row; `parts` are the response keys of a value object and what stands under them."""

    key: str
    field: Field
    decision: Shown | Masked | PerRow
    parts: tuple[tuple[str, str | Constant], ...] = ()


@dataclass(frozen=True, slots=True)
class ToOneRecord:
    """The related row, or null where the caller does not see it."""

    key: str
    field: Field
    record: Record


@dataclass(frozen=True, slots=True)
class ToManyPage:
    """A page of the related rows."""

    key: str
    field: Field
    connection: Connection


Item = Constant | Value | ToOneRecord | ToManyPage


@dataclass(frozen=True, slots=True)
class Record:
    """One row of an entity as an object. Empty `rules`: the parent's rules already hold for the row."""

    entity: Entity
    rules: frozenset[str] | None
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class SortKey:
    field: Field
    descending: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: `size` entries from its start, or from its end where `backward`."""

    size: int
    backward: bool
    after: Operand | None
    before: Operand | None


class PageField(StrEnum):
    """The fields of `PageInfo`."""

    HAS_NEXT = "hasNextPage"
    HAS_PREVIOUS = "hasPreviousPage"
    START = "startCursor"
    END = "endCursor"


@dataclass(frozen=True, slots=True)
class Nodes:
    key: str
    record: Record


@dataclass(frozen=True, slots=True)
class Edges:
    """Each edge's keys with a cursor, a type name or the node's record."""

    key: str
    items: tuple[tuple[str, Record | Constant | None], ...]  # None: the cursor


@dataclass(frozen=True, slots=True)
class PageInfo:
    key: str
    items: tuple[tuple[str, PageField | Constant], ...]


@dataclass(frozen=True, slots=True)
class TotalCount:
    key: str


ConnectionItem = Nodes | Edges | PageInfo | TotalCount | Constant


@dataclass(frozen=True, slots=True)
class Connection:
    """A list of an entity's rows: which exist, which are wanted, in which order, which page, what of it."""

    entity: Entity
    rules: frozenset[str] | None
    where: Condition | None
    order: tuple[SortKey, ...]
    page: Page
    items: tuple[ConnectionItem, ...]
    # The rules of the entity even where the parent's make them superfluous: a cursor's row is judged by them.
    cursor_rules: frozenset[str]


# ---------------------------------------------------------------- roots


@dataclass(frozen=True, slots=True)
class ListRoot:
    key: str
    connection: Connection


@dataclass(frozen=True, slots=True)
class LookupRoot:
    """The newest row whose field has this value."""

    key: str
    field: Field
    operand: Operand
    record: Record


@dataclass(frozen=True, slots=True)
class NodeRoot:
    """The row with this global id, whose type the plan's key holds."""

    key: str
    operand: Operand
    record: Record


@dataclass(frozen=True, slots=True)
class NodesRoot:
    """The rows with these global ids, in this order, by type."""

    key: str
    operand: Operand
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class EventRoot:
    """The row an event names, if it is of those watched: with the id `operand` where `argument` leads."""

    key: str
    argument: str
    operand: Operand
    condition: Condition
    record: Record


@dataclass(frozen=True, slots=True, eq=False)
class LocalRoot:
    """A field answered without the database: `viewer`, `processingRecord`, introspection …"""

    key: str
    name: str
    nodes: tuple[FieldNode, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MutationRoot:
    """A change, and what is shown of its payload.

    The payload's plan shows entities by the keys in the variables called `made_key` of their fields; the rest
    of it is local. `became` says that an anonymous caller is answered as what it has just made. `given` has
    the fields of an input that is written as variables alone, each with its variable; else it is None.
    """

    key: str
    mutation: Mutation
    nodes: tuple[FieldNode, ...]
    payload: Plan
    became: bool
    given: tuple[tuple[str, str], ...] | None


def made_key(field: str) -> str:
    """The variable that holds the key of a payload's entity; no variable of a document has such a name."""
    return f"made {field}"


Root = ListRoot | LookupRoot | NodeRoot | NodesRoot | EventRoot | LocalRoot | MutationRoot | Constant


# ---------------------------------------------------------------- the plan


@dataclass(frozen=True, slots=True)
class Refusal:
    """A coordinate refused for a use: null in the data, and one entry of `errors`."""

    coordinate: str
    use: str | None
    purposes: tuple[str, ...]
    field_path: tuple[str, ...]
    path: tuple[str, ...]
    location: Location | None
    # Whether it is refused because so many are asked for at once.
    of_many: bool = False

    @property
    def code(self) -> Code:
        """PURPOSE_REQUIRED where another purpose would do, else FIELD_FORBIDDEN."""
        return Code.PURPOSE_REQUIRED if self.purposes or self.of_many else Code.FIELD_FORBIDDEN


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is answered to an operation for one access profile. Only `plan()` makes one.

    INVARIANT: no coordinate that the grants refuse stands in `roots`, in whatever place.
    """

    roots: tuple[Root, ...]
    refusals: tuple[Refusal, ...]
    withheld: tuple[str, ...]
    scope: Scope
    cost: int

    @property
    def has_local(self) -> bool:
        """Whether a root field is answered without the database."""
        return any(isinstance(root, LocalRoot) for root in self.roots)
