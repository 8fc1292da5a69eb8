"""One change under way: who asks, what for, which rows it may touch, and its transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from uuid_utils.compat import uuid7

from schema.model import text_of
from schema.scalars import read_global_id
from schema.states import ChangeSource
from schema.writing import UserErrorCode

from ..cache import Cache
from ..database import DatabaseConflict, Transaction
from ..errors import Code, fault
from ..grants import Grants, Rows
from ..operation import location_of
from ..principal import Principal
from .gate import Write
from .mistakes import Mistake, Rejected, RowRefused, not_found
from .rows import Sql, Target, change_and_show, change_row, find_row, insert_row, next_number, note_fields
from .tools import Tools

NOTHING: Mapping[str, Any] = MappingProxyType({})
# Fields that change with every other one, or with each visit: that they did says nothing.
UNNOTED = ("lastActiveAt", "version")
SOURCES = {
    "customer": ChangeSource.CUSTOMER,
    "support": ChangeSource.STAFF_ON_BEHALF,
    "register_admin": ChangeSource.STAFF_ON_BEHALF,
    "carrier": ChangeSource.CARRIER_EVENT,
}


@dataclass(frozen=True, slots=True)
class Changed:
    """A row that was changed."""

    key: uuid.UUID
    customer_id: uuid.UUID | None
    version: int


class Outcome(NamedTuple):
    """What became of a change: the keys of the payload's entities by field, and what else it says.

    `became` is as whom an anonymous caller is answered; `body` is the payload's JSON where the change itself
    has given it. `changed_principals` are those whose rights it changed, by kind and id: the worker forgets
    what it knew of them before it answers. `mistakes` are told although what was done stays done.
    `secrets` are said like `extras`, but pass no statement.
    """

    made: Mapping[str, object] = NOTHING
    extras: Mapping[str, object] = NOTHING
    became: Principal | None = None
    changed_principals: tuple[tuple[str, uuid.UUID], ...] = ()
    body: bytes | None = None
    mistakes: tuple[Mistake, ...] = ()
    secrets: Mapping[str, str] = NOTHING


@dataclass(slots=True)
class Wrote:
    """Where a change did not set all that its input sets: what it set, and what was refused on a row."""

    coordinates: frozenset[str] | None = None
    refused: frozenset[str] = frozenset()


@dataclass(slots=True)
class Work:
    """A change, its caller and its transaction; the only way a change reaches the database.

    # PERF: frozen, one of fourteen fields takes 2.4 µs to make instead of 0.5 (`timeit`).
    """

    write: Write
    principal: Principal
    grants: Grants
    now: datetime
    transaction: Transaction
    bound: Mapping[str, object]
    tools: Tools
    fused: Cache[object, Sql]
    # The JSON of the payload's fields that are no entity, without mistakes; None among several changes, and
    # where the payload shows more than the row that is changed.
    quiet: Mapping[str, object] | None = None
    # Where the request came from; None where that is not known.
    client_address: str | None = None
    # The request's `X-Request-Id`.
    request_id: str = ""
    # Whose rows it found, changed or made: the subjects of its access record.
    subjects: set[uuid.UUID] = field(default_factory=set)
    # Coordinates it uses beside those its input sets.
    used: set[str] = field(default_factory=set)
    wrote: Wrote = field(default_factory=Wrote)

    @property
    def input(self) -> Mapping[str, Any]:
        """The coerced input, by GraphQL names; a field that was not given is absent."""
        return self.write.input

    @property
    def actor(self) -> str:
        """Who is noted as having changed something; the holder of one order's token is told apart."""
        return self.principal.holder or "anonymous"

    @property
    def source(self) -> ChangeSource:
        """Where a change of the caller's comes from."""
        return SOURCES.get(self.principal.role or "", ChangeSource.STAFF)

    def key(self, name: str, entity: str) -> uuid.UUID:
        """The key in the global id given in an input field; raises BAD_ID."""
        return self.key_in(self.input[name], entity)

    def key_in(self, text: object, entity: str) -> uuid.UUID:
        """The key in a global id of this entity; raises BAD_ID."""
        found = read_global_id(text) if isinstance(text, str) else None
        if found is None or found[0] != entity:
            raise fault(
                Code.BAD_ID, f"the value is no global id of `{entity}`", location_of(self.write.root.nodes[0])
            )
        return found[1]

    def activity(self) -> dict[str, object]:
        """What a change of a customer's own row adds to it: that they were active."""
        return {"last_active_at": self.now} if self.principal.role == "customer" else {}

    # ------------------------------------------------------------ rows

    def target(self, entity: str, coordinates: Sequence[str]) -> Target:
        """The rows of an entity that exist for the caller and on which these coordinates may be set."""
        match self.grants.type_access(entity):
            case Rows(visible):
                guards = tuple(self.write.guards[coordinate] for coordinate in coordinates)
                table = self.tools.model.entities[entity].table.name
                return Target(entity, table, visible, guards, self.principal.scope)
            case _:
                raise not_found(f"{entity}.id")

    async def find(
        self,
        entity: str,
        key: uuid.UUID,
        columns: Sequence[str] = (),
        coordinates: Sequence[str] = (),
        *,
        locks: bool = True,
        path: Sequence[str] = ("id",),
    ) -> Any:
        """The row, locked; raises `Rejected` where it is not there, `RowRefused` where a guard fails."""
        target = self.target(entity, coordinates)
        row = await self.row(find_row(target, tuple(columns), locks), key=key)
        if row is None:
            raise not_found(f"{entity}.id", *path)
        self._check_guards(row["allowed"], coordinates)
        self._saw(row["subject"])
        return row

    def _saw(self, subject: uuid.UUID | None) -> None:
        if subject is not None:
            self.subjects.add(subject)

    async def change_alone(
        self,
        entity: str,
        key: uuid.UUID,
        values: Mapping[str, object],
        *,
        moves_from: Sequence[str] | None = None,
    ) -> Outcome:
        """Like `change`, where nothing else is written: what became of it.

        # PERF: where the payload asks for columns of the row alone, change and answer are one statement.
        """
        if self.quiet is None:
            await self.change(entity, key, values, moves_from=moves_from)
            return Outcome({self.shown_as(entity): key})
        self._check_is_something()
        shape = self._shape(entity, values, self.write.guards, moves_from)
        # INVARIANT: grants and scope are the same for all that share these: the key of their plan holds both.
        sql = self.fused.get(shape)
        if sql is None:
            made = change_and_show(*self._structure(shape), self.write.root.payload)
            sql = self.fused.put(shape, made)
        bound = self._bound(sql, key, values, moves_from, self.source)
        row = await self.transaction.alone(sql.text, self._values(sql, {**bound, **self.quiet}))
        if row is None:
            await self._explain(entity, key, tuple(self.write.guards), moves_from)
        return Outcome(body=row["body"])

    async def change(
        self,
        entity: str,
        key: uuid.UUID,
        values: Mapping[str, object],
        *,
        coordinates: Sequence[str] | None = None,
        moves_from: Sequence[str] | None = None,
        source: ChangeSource | None = None,
    ) -> Changed:
        """Changes a row's columns where every guard holds on it, in one statement.

        `coordinates` are those whose guards must hold, by default every coordinate the input sets. Raises
        `Rejected` (NOT_FOUND, CONFLICT, INVALID_TRANSITION) or `RowRefused`.
        """
        self._check_is_something()
        wanted = tuple(self.write.guards) if coordinates is None else tuple(coordinates)
        sql = change_row(*self._structure(self._shape(entity, values, wanted, moves_from)))
        row = await self.row(sql, **self._bound(sql, key, values, moves_from, source or self.source))
        if row is None:
            await self._explain(entity, key, wanted, moves_from)
        self._saw(row["customer_id"])
        return Changed(row["id"], row["customer_id"], row["version"])

    def _shape(
        self,
        entity: str,
        columns: Iterable[str],
        coordinates: Iterable[str],
        moves_from: Sequence[str] | None,
    ) -> Shape:
        """What the statement of a change depends on, beside the caller's grants and scope."""
        versioned = self.input.get("ifVersion") is not None
        return entity, tuple(columns), tuple(coordinates), versioned, moves_from is not None

    def _structure(self, shape: Shape) -> Structure:
        entity, columns, coordinates, versioned, moves = shape
        names = tuple((name, self._noted_field(entity, name)) for name in columns)
        return self.target(entity, coordinates), names, versioned, moves

    def _bound(
        self,
        sql: Sql,
        key: uuid.UUID,
        values: Mapping[str, object],
        moves_from: Sequence[str] | None,
        source: ChangeSource,
    ) -> dict[str, object]:
        """What the statement of a change binds."""
        change_ids = [uuid7() for _ in range(sql.notes)]
        return {
            "key": key,
            "if_version": self.input.get("ifVersion"),
            "from_status": moves_from,
            "change_ids": change_ids,
            "change_id": change_ids[0] if change_ids else None,
            "source": source.value,
            "actor": self.actor,
            **_set(values),
        }

    def _check_is_something(self) -> None:
        """Raises where an input that may set fields of a row sets none: no version is raised for it."""
        of = self.write.root.mutation.input
        if self.write.guards or "ifVersion" not in of.fields:
            return
        if any(one.coordinate is not None for one in of.fields.values()):
            raise Rejected(Mistake(UserErrorCode.REQUIRED, of.name, "nothing is given to change", ()))

    async def _explain(
        self,
        entity: str,
        key: uuid.UUID,
        coordinates: tuple[str, ...],
        moves_from: Sequence[str] | None,
    ) -> None:
        """Raises why a row was not changed."""
        await self.find(entity, key, (), coordinates)
        await self.check_version(entity, key)
        if moves_from is None and entity != "Customer":
            raise DatabaseConflict  # what stood in the way a moment ago is gone
        raise Rejected(
            Mistake(
                UserErrorCode.INVALID_TRANSITION,
                f"{entity}.status",
                "the present status does not allow this step",
                ("status",),
            ),
            shown={self.shown_as(entity): key},
        )

    async def check_version(self, entity: str, key: uuid.UUID) -> None:
        """Raises CONFLICT where `ifVersion` is given and the row has another version."""
        wanted = self.input.get("ifVersion")
        row = await self.find(entity, key, ("version",))
        if wanted is not None and row["version"] != wanted:
            message = f"the present version is {row['version']}"
            mistake = Mistake(
                UserErrorCode.CONFLICT, f"{entity}.version", message, ("ifVersion",), row["version"]
            )
            raise Rejected(mistake, shown={self.shown_as(entity): key})

    def shown_as(self, entity: str) -> str:
        """The payload's field for an entity."""
        of = self.write.root.mutation
        return next((name for name, target in of.entities.items() if target == entity), "")

    async def insert(self, table: str, values: Mapping[str, object]) -> None:
        """Inserts a row."""
        owner = values.get("customer_id")
        self._saw(owner if isinstance(owner, uuid.UUID) else None)
        await self.row(insert_row(table, tuple(values)), **_set(values))

    async def note(
        self,
        entity: str,
        key: uuid.UUID,
        customer_id: uuid.UUID,
        fields: Sequence[str],
        source: ChangeSource,
        actor: str | None = None,
    ) -> None:
        """Notes that the fields of a new row were set, without their values."""
        if fields:
            await self.row(
                note_fields(),
                change_ids=[uuid7() for _ in fields],
                fields=list(fields),
                owner=customer_id,
                entity=entity,
                key=key,
                source=source.value,
                actor=actor or self.actor,
            )

    async def number(self, sequence: str) -> int:
        """The next number of a sequence."""
        found = await self.row(next_number(sequence))
        return int(found["number"])

    async def row(self, sql: Sql, **values: object) -> Any:
        """The first row of a statement, None where there is none."""
        return await self.transaction.row(sql.text, self._values(sql, values))

    async def look(self, sql: Sql, **values: object) -> Any:
        """The first row of a statement that reads before the transaction begins.

        # PERF: what takes long after it, such as hashing, holds no connection.
        """
        row = await self.transaction.alone(sql.text, self._values(sql, values))
        self.transaction.rest()
        return row

    async def rows(self, sql: Sql, **values: object) -> Any:
        """Every row of a statement."""
        return await self.transaction.rows(sql.text, self._values(sql, values))

    # ------------------------------------------------------------ values

    def columns(self, entity: str, given: Mapping[str, object]) -> dict[str, object]:
        """The input's values by column, for the fields that are columns of the entity."""
        columns = self.tools.model.entities[entity].columns
        return {columns[name]: text_of(value) for name, value in given.items() if name in columns}

    def is_personal(self, coordinate: str) -> bool:
        """Whether a coordinate is a personal field of a customer."""
        entity, _, name = coordinate.partition(".")
        return self.tools.model.entities[entity].fields[name].personal

    def _noted_field(self, entity: str, column: str) -> str | None:
        """The field that shows a column, set by the input or derived; None where it is not noted."""
        found = self.tools.model.entities[entity].shown_by.get(column)
        return None if found in UNNOTED else found

    def _values(self, sql: Sql, values: Mapping[str, object]) -> list[object]:
        return [values[name] if name in values else self.bound[name] for name in sql.names]

    def _check_guards(self, allowed: Sequence[bool], coordinates: Sequence[str]) -> None:
        if refused := tuple(one for one, holds in zip(coordinates, allowed, strict=False) if not holds):
            raise RowRefused(refused, self.write.root.mutation.input.writes.value.upper())


# Entity, columns, coordinates whose guards must hold, whether a version is given, whether the status moves.
Shape = tuple[str, tuple[str, ...], tuple[str, ...], bool, bool]
Structure = tuple[Target, tuple[tuple[str, str | None], ...], bool, bool]
Handler = Callable[[Work], Any]


def _set(values: Mapping[str, object]) -> dict[str, object]:
    return {f"set_{name}": value for name, value in values.items()}
