"""The rows that are written with a read: an access record, disclosures, and what counts for the quota."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    Subquery,
    Text,
    Uuid,
    bindparam,
    case,
    cast,
    extract,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel

from ..recording import Recording
from .json_values import text_literal

# Beside what is shown, each row has: whose it is, which it is, which fields of it are shown. No response key
# can be one of these names (GraphQL specification, section 2.1.9).
SUBJECT, REFERENCE, SHOWN = "subject$", "reference$", "shown$"


def whose(seen: CTE, number: int, *, is_unique: bool) -> CTE:
    """The customers of whom a root field shows anything, each once, as one array."""
    customers = select(seen.c[SUBJECT]).where(seen.c[SUBJECT].is_not(None))
    customers = customers if is_unique else customers.distinct()
    listed = func.array(customers.scalar_subquery(), type_=ARRAY(Uuid()))
    return select(listed.label("ids")).cte(f"whose_{number}")


def access(
    recording: Recording,
    number: int,
    used: Iterable[str],
    found: CTE | None,
    conditions: Sequence[ColumnElement[bool]],
) -> CTE:
    """One access record, where the conditions hold: who, as what, what for, which fields, whose."""
    nobody = literal_column("'{}'::uuid[]", ARRAY(Uuid()))
    values = {
        "id": _bound(f"id_{number}", Uuid()),
        "at": _now(),
        "principal_id": _bound("principal", Text()),
        "role": text_literal(recording.role),
        "designation_id": _bound("designation", Uuid()),
        "purpose": _text(recording.purpose),
        "case_reference": _bound("case", Text()),
        "operation_name": _text(recording.operation_name),
        "operation_hash": text_literal(recording.operation_hash),
        "fields": _texts(used),
        "subject_ids": nobody if found is None else select(found.c.ids).scalar_subquery(),
        **_circumstances(),
        "decision": text_literal("ALLOWED"),
    }
    row = select(*(value.label(name) for name, value in values.items())).where(*conditions)
    table = SQLModel.metadata.tables["access_record"]
    return insert(table).from_select(list(values), row).cte(f"recorded_{number}")


def noted_customers(found: Iterable[CTE]) -> CTE:
    """The digest of the customers that are counted, over all root fields."""
    ids = [select(one.c.ids).scalar_subquery() for one in found]
    return _digest_of([func.array_send(one, type_=LargeBinary()) for one in ids], "noted")


def noted_disclosures(seen: CTE) -> CTE:
    """The digest of what is given: each thing, with the number of its set of fields."""
    given = select(seen.c[REFERENCE], seen.c[SHOWN]).where(seen.c[SUBJECT].is_not(None)).subquery("given")
    line = func.uuid_send(given.c[REFERENCE]).concat(func.int4send(given.c[SHOWN]))
    lines = func.string_agg(line, literal_column("''::bytea", LargeBinary()), type_=LargeBinary())
    told = func.coalesce(select(lines).scalar_subquery(), literal_column("''::bytea"), type_=LargeBinary())
    return _digest_of([told], "noted")


def _digest_of(parts: Sequence[ColumnElement[Any]], name: str) -> CTE:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.concat(part)
    return select(func.sha256(whole, type_=LargeBinary()).label("digest")).cte(name)


def is_known(noted: CTE) -> ColumnElement[bool]:
    """The condition that the caller's worker knows it all to be written down; null where it does not."""
    return select(noted.c.digest).scalar_subquery() == func.any(_bound("noted", ARRAY(LargeBinary())))


def _is_new(noted: CTE | None) -> list[ColumnElement[bool]]:
    # INVARIANT: where anything of it is null, it counts as new.
    return [] if noted is None else [is_known(noted).is_not(true())]


def disclosures(
    recording: Recording, sets: Mapping[int, tuple[str, ...]], seen: CTE, noted: CTE | None
) -> CTE:
    """One disclosure for each thing whose set of fields the recipient is given for the first time."""
    table = SQLModel.metadata.tables["disclosure"]
    given = _given({number: names for number, names in sets.items() if names}, seen)
    whom, purpose = text_literal(recording.recipient or ""), text_literal(recording.purpose or "")
    known = table.alias("known")
    is_known = _look_up(
        known.c.ref_id == given.c[REFERENCE],
        known.c.recipient == whom,
        known.c.purpose == purpose,
        known.c.fields_digest == given.c.digest,
    )
    values = {
        "id": _new_id(),
        "customer_id": given.c[SUBJECT],
        "recipient": whom,
        "purpose": purpose,
        "at": _now(),
        "fields": given.c.fields,
        "fields_digest": given.c.digest,
        "ref_id": given.c[REFERENCE],
        **_circumstances(),
    }
    fresh = (
        select(*(value.label(name) for name, value in values.items()))
        .where(given.c.digest.is_not(None), is_known.is_(None), *_is_new(noted))
        # Everybody inserts in one order, so that nobody waits for one who waits for them.
        .order_by(given.c[REFERENCE], given.c.digest)
    )
    written = insert(table).from_select(list(values), fresh)
    return written.on_conflict_do_nothing(constraint="disclosure_once").cte("disclosed")


def _given(sets: Mapping[int, tuple[str, ...]], seen: CTE) -> Subquery:
    """What is given of each thing, with the fields by the number of their set."""
    chosen = [
        (seen.c[SHOWN] == literal_column(str(number), Integer()), names) for number, names in sets.items()
    ]
    fields = case(*((condition, _texts(names)) for condition, names in chosen))
    digest = case(*((condition, _digest(names)) for condition, names in chosen))
    # What is given twice is not told apart here: the constraint keeps the second out.
    return (
        select(seen.c[SUBJECT], seen.c[REFERENCE], fields.label("fields"), digest.label("digest"))
        .where(seen.c[SUBJECT].is_not(None))
        .subquery("given")
    )


def counted(found: Iterable[CTE], noted: CTE | None) -> CTE:
    """The customers an employee has not read of before today, and their number, which the quota bounds."""
    added = _added(found, noted)
    days = SQLModel.metadata.tables["daily_reading"]
    number = func.count(added.c.customer_id)
    today = select(
        bindparam("caller_employee", type_=Uuid()).label("employee_id"),
        _bound("day", Date()).label("day"),
        number.label("subjects"),
        bindparam("setting_read_quota", type_=Integer()).label("quota"),
    ).having(number > literal_column("0"))
    written = insert(days).from_select(["employee_id", "day", "subjects", "quota"], today)
    raised = written.on_conflict_do_update(
        index_elements=["employee_id", "day"],
        # INVARIANT: the table's check `read_quota` ends the whole statement where this passes the quota.
        set_={"subjects": days.c.subjects + written.excluded.subjects, "quota": written.excluded.quota},
    )
    return raised.cte("counted")


def _added(found: Iterable[CTE], noted: CTE | None) -> CTE:
    each = [select(func.unnest(one.c.ids, type_=Uuid()).label(SUBJECT)) for one in found]
    seen = (each[0] if len(each) == 1 else union_all(*each)).subquery("seen")
    subjects = SQLModel.metadata.tables["daily_subject"]
    today = (
        select(
            bindparam("caller_employee", type_=Uuid()).label("employee_id"),
            _bound("day", Date()).label("day"),
            seen.c[SUBJECT],
        )
        .where(*_is_new(noted))
        .distinct()
        # Everybody inserts in one order, so that nobody waits for one who waits for them.
        .order_by(seen.c[SUBJECT])
    )
    # PERF: the key's index alone tells the new ones. A look-up before took as long where it used the index,
    # and a scan a row, 100 for a page, where a plan made in the morning took the table to be empty.
    written = insert(subjects).from_select(["employee_id", "day", "customer_id"], today)
    return written.on_conflict_do_nothing().returning(subjects.c.customer_id).cte("added")


def _look_up(*conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    """True where there is such a row, else null: a look-up for each row, never a hash over a whole table."""
    found = select(literal_column("true", Boolean())).where(*conditions)
    return found.limit(literal_column("1")).scalar_subquery()


def _circumstances() -> dict[str, ColumnElement[Any]]:
    return {
        "policy_version": bindparam("setting_policy_version", type_=Text()),
        "notice_version": bindparam("setting_notice_version", type_=Text()),
        "request_id": _bound("request", Text()),
    }


def _bound(name: str, kind: Any) -> ColumnElement[Any]:
    return bindparam(f"recording_{name}", type_=kind)


def _now() -> ColumnElement[Any]:
    return bindparam("now", type_=DateTime(timezone=True))


def _new_id() -> ColumnElement[Any]:
    """A UUIDv7 of this moment (RFC 9562, section 5.7), which PostgreSQL 15 cannot make by itself."""
    seconds = extract("epoch", _now())
    milliseconds = cast(seconds * literal_column("1000", Integer()), BigInteger())
    moment = func.substr(func.int8send(milliseconds), literal_column("3"))
    random = func.uuid_send(func.gen_random_uuid())
    bits = func.overlay(random, moment, literal_column("1", Integer()), literal_column("6", Integer()))
    for bit in ("52", "53"):  # version 4 becomes version 7
        bits = func.set_bit(bits, literal_column(bit), literal_column("1"))
    return cast(func.encode(bits, literal_column("'hex'")), Uuid())


def _text(value: str | None) -> ColumnElement[Any]:
    return literal_column("NULL::text", Text()) if value is None else text_literal(value)


def _texts(names: Iterable[str]) -> ColumnElement[Any]:
    # Names of the schema: letters, digits and dots.
    return literal_column("'{" + ",".join(names) + "}'::text[]", ARRAY(Text()))


def _digest(names: Iterable[str]) -> ColumnElement[Any]:
    digest = hashlib.sha256(",".join(names).encode()).hexdigest()
    return literal_column(f"decode('{digest}', 'hex')")
