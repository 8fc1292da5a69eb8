"""The access record as a part of the read: rows and record come from one statement, or neither does.

The rows of a root field are found once, in a common table expression that carries beside what is shown whose
row it is; the answer and the records are both made of it. GDPR Articles 5(2), 15(1)(c) and 32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    Label,
    Select,
    Uuid,
    case,
    false,
    literal_column,
    select,
    union_all,
)

from schema.model import Entity

from ..grants import PerRow
from ..plan.uses import Uses, fields_shown, uses_of
from ..plan.values import EventRoot, ListRoot, NodesRoot, Record, Root, Value
from ..recording import Recording
from .judging import Judging
from .record_rows import (
    REFERENCE,
    SHOWN,
    SUBJECT,
    access,
    counted,
    disclosures,
    is_known,
    noted_customers,
    noted_disclosures,
    whose,
)

# Fields that depend on the row are told apart up to so many rules; beyond, they count as shown.
MOST_RULES = 5


@dataclass(frozen=True, slots=True)
class _Ended:
    """What is to be recorded of a root field: the coordinates it uses, and the rows it finds."""

    used: tuple[str, ...]
    found: tuple[Select[Any], ...]
    only_found: bool
    is_unique: bool


@dataclass(slots=True)
class Recorder:
    """Collects, while a statement is built, whose rows it reads, and what is then recorded of them."""

    recording: Recording
    # Of a change's payload and of an event only what was found is worth a record.
    only_found: bool = False
    # Writes records alone, and those only where nothing is new of what is written once.
    is_brief: bool = False
    _rows: int = 0
    _uses: Uses = field(default_factory=lambda: Uses((), ()))
    _found: list[Select[Any]] = field(default_factory=list)
    _is_unique: bool = False
    _is_list: bool = False
    _ended: list[_Ended] = field(default_factory=list)
    _noted: list[CTE] = field(default_factory=list)
    _sets: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """How many access records the statement writes at most."""
        return len(self._ended)

    @property
    def noted(self) -> Sequence[CTE]:
        """The digests of what the statement writes down once and not again, for the worker to remember."""
        return self._noted

    def begin(self, root: Root) -> None:
        """From here on, what is read is read for this root field."""
        self._uses, self._found = uses_of(root), []
        self._is_list |= isinstance(root, ListRoot | NodesRoot)

    def is_reading(self) -> bool:
        """Whether the root field uses personal data, so that its rows carry whose they are."""
        return bool(self._uses.shown or self._uses.compared)

    def is_comparing(self) -> bool:
        """Whether the root field finds or sorts rows by personal data, so that counting them tells of it."""
        return bool(self._uses.compared)

    def new_name(self) -> str:
        """What the next rows of the statement are called."""
        self._rows += 1
        return f"read_{self._rows}"

    def marks(
        self, entity: Entity, records: Sequence[Record], row: FromClause, judging: Judging
    ) -> list[Label[Any]]:
        """The columns that say of a row whose and which it is, and which of its fields are shown."""
        subject = row.c[entity.subject] if entity.subject else literal_column("NULL::uuid", Uuid())
        # Of the customers themselves there is one row each.
        self._is_unique = entity.subject == "id" and not self._found
        shown = (
            self._shown(records, row, judging) if self.recording.recipient else literal_column("0", Integer())
        )
        return [subject.label(SUBJECT), row.c[entity.reference].label(REFERENCE), shown.label(SHOWN)]

    def saw(self, marked: FromClause, *conditions: ColumnElement[bool]) -> None:
        """Takes note of rows that carry their marks."""
        columns = [marked.c[name] for name in (SUBJECT, REFERENCE, SHOWN)]
        self._found.append(select(*columns).where(*conditions))

    def end(self, root: Root) -> None:
        """Keeps what is to be recorded of the root field."""
        if self.is_reading():
            only_found = self.only_found or isinstance(root, EventRoot)
            self._ended.append(_Ended(self._uses.all, tuple(self._found), only_found, self._is_unique))

    def writes(self, cursors: Sequence[ColumnElement[bool]]) -> list[CTE]:
        """The inserts of the statement; none of them writes a row unless every cursor's entry is seen.

        INVARIANT: disclosures are one insert, which sorts: one for each root field had two readers wait for
        each other.
        """
        found = [self._found_of(number, ended, cursors) for number, ended in enumerate(self._ended)]
        once = self._once(
            [seen for seen, _ in found if seen is not None], [who for _, who in found if who is not None]
        )
        known = [is_known(noted) for noted in self._noted] if self.is_brief else []
        records = []
        for number, (ended, (seen, people)) in enumerate(zip(self._ended, found, strict=True)):
            # A record of what was looked for and not found says so, with nobody.
            conditions = [_is_any(seen)] if ended.only_found else list(cursors)
            records.append(access(self.recording, number, ended.used, people, [*conditions, *known]))
        return records if self.is_brief else [*records, *once]

    def _found_of(
        self, number: int, ended: _Ended, cursors: Sequence[ColumnElement[bool]]
    ) -> tuple[CTE | None, CTE | None]:
        """The rows that a root field finds, and whose they are."""
        if not ended.found:
            return None, None
        seen = _together([one.where(*cursors) for one in ended.found], f"seen_{number}")
        return seen, whose(seen, number, is_unique=ended.is_unique)

    def _once(self, every: Sequence[CTE], people: Sequence[CTE]) -> list[CTE]:
        """What is written once and not again: disclosures, and whom an employee has read of today."""
        written = []
        if every and self.recording.recipient is not None and any(self._sets.values()):
            seen = every[0] if len(every) == 1 else _together([select(one) for one in every], "seen")
            written.append(disclosures(self.recording, self._sets, seen, self._note(noted_disclosures(seen))))
        if people and self.recording.counts:
            written.append(counted(people, self._note(noted_customers(people))))
        return written

    def _note(self, noted: CTE) -> CTE | None:
        # A change's payload is read in a transaction that may still be undone: nothing is known of it.
        # PERF: one row is looked up sooner than its digest is made.
        if self.only_found or not self._is_list:
            return None
        self._noted.append(noted)
        return noted

    # ------------------------------------------------------------ which fields of a row

    def _shown(self, records: Sequence[Record], row: FromClause, judging: Judging) -> ColumnElement[Any]:
        """The number of the set of fields that are shown of a row; the sets are kept with it."""
        always = set(self._uses.compared)
        by_rule: dict[tuple[str, PerRow], set[str]] = {}
        for record in records:
            for item in record.items:
                names = {shown.coordinate for shown in fields_shown(item) if shown.personal}
                if isinstance(item, Value) and isinstance(item.decision, PerRow):
                    by_rule.setdefault((record.entity.table.name, item.decision), set()).update(names)
                else:
                    always |= names
        told_apart = list(by_rule.items())[:MOST_RULES]
        for _, names in list(by_rule.items())[MOST_RULES:]:
            always |= names
        first = len(self._sets)
        self._sets |= _sets(always, [names for _, names in told_apart], first)
        number: ColumnElement[Any] = literal_column(str(first), Integer())
        for place, ((table, decision), _) in enumerate(told_apart):
            here = literal_column(str(2**place), Integer())
            number = number + case((judging.shows(decision, table, row), here), else_=literal_column("0"))
        return number


def _is_any(seen: CTE | None) -> ColumnElement[bool]:
    return false() if seen is None else select(seen).exists()


def _together(found: Iterable[Select[Any]], name: str) -> CTE:
    selects = list(found)
    return (selects[0] if len(selects) == 1 else union_all(*selects)).cte(name)


def _sets(always: set[str], by_rule: Sequence[set[str]], first: int) -> dict[int, tuple[str, ...]]:
    """The fields shown, by the number whose binary digits, added to `first`, say which of the rules hold."""
    return {
        first + number: tuple(
            sorted(always.union(*(names for place, names in enumerate(by_rule) if number >> place & 1)))
        )
        for number in range(2 ** len(by_rule))
    }
