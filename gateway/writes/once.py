"""The same key makes the same thing once: what a creating change leaves behind for 24 hours.

Kept are the principal, a keyed digest of the input and the id of what was made, never a value.
"""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import ColumnElement, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from schema.model import text_of
from schema.scalars import global_id
from schema.writing import UserErrorCode

from ..statements.bound import compiled
from .mistakes import Mistake, Rejected
from .rows import Sql
from .work import Work

KEPT = timedelta(hours=24)
KEY = "idempotencyKey"
# Stands for the principal where it does not matter who asks; no id of a principal looks like it.
ANYONE = "anyone"


@dataclass(frozen=True, slots=True)
class New:
    """Nothing was made under this key: make it with this id."""

    key: uuid.UUID


@dataclass(frozen=True, slots=True)
class Known:
    """The same request has made this already: nothing is written now, and nothing recorded as written."""

    key: uuid.UUID


async def once(work: Work, entity: str, without: Collection[str] = (), instead: bytes = b"") -> New | Known:
    """The id to make something with, or that of what the same key and input made within 24 hours.

    Concurrent requests with one key wait for the first. Raises CONFLICT where the key came with another
    input. `without` names input fields that must not be digested as they are, `instead` stands for them.
    """
    made, given = uuid7(), work.input.get(KEY)
    if given is None:
        return New(made)
    digests = _digests(work, without, instead)
    claim = {
        "principal": _asker(work),
        "key": given,
        "mutation": work.write.root.mutation.name,
        "digest": digests[0],
        "entity": entity,
        "entity_id": made,
        "created_at": work.now,
    }
    found = await _claimed(work, claim, KEPT)
    if found is None:
        return New(made)
    if found["mutation"] != claim["mutation"] or found["digest"] not in digests:
        coordinate = f"{work.write.root.mutation.input.name}.{KEY}"
        message = "the key was used for another request"
        raise Rejected(Mistake(UserErrorCode.CONFLICT, coordinate, message, (KEY,)))
    work.wrote.coordinates = frozenset()
    return Known(found["entity_id"])


async def is_first(work: Work, entity: str, made: uuid.UUID, asked: Sequence[str], period: timedelta) -> bool:
    """Whether nobody has asked the same within the period, of at most 24 hours; concurrent ones wait.

    Who asks does not matter, so that nobody has a second letter sent by asking as somebody else. A row is
    kept of every asking, with a keyed digest and no value.
    """
    digest = _keyed(work, orjson.dumps(asked))[0]
    claim = {
        "principal": ANYONE,
        "key": uuid.UUID(digest[:32]),
        "mutation": work.write.root.mutation.name,
        "digest": digest,
        "entity": entity,
        "entity_id": made,
        "created_at": work.now,
    }
    return await _claimed(work, claim, period) is None


def _asker(work: Work) -> str:
    """Whose keys are one space: a customer's or an employee's, of one order's holder, of one partner token.

    A partner's token shares them with the keys of its rotation, as a client that was given the next key
    repeats with it what it sent with the one before; with no other token of the partner's, and not with
    those narrowed from it.
    """
    rotation = work.principal.rotation_id
    return work.actor if rotation is None else global_id("PartnerToken", rotation)


async def _claimed(work: Work, claim: Mapping[str, object], period: timedelta) -> Any:
    """None where the key is now this claim's, else what it was used for within the period.

    # INVARIANT: of concurrent claims to one key, a used up one too, one alone succeeds.
    """
    while await work.row(_claim(), **claim) is None:
        found = await work.row(_find(), principal=claim["principal"], key=claim["key"])
        if found is not None and found["created_at"] > work.now - period:
            return found
        if found is not None:
            used_up = found["created_at"]
            await work.row(_forget(), principal=claim["principal"], key=claim["key"], created_at=used_up)
    return None


def _digests(work: Work, without: Collection[str], instead: bytes) -> list[str]:
    given = {name: value for name, value in work.input.items() if name != KEY and name not in without}
    text = orjson.dumps(given, default=_written, option=orjson.OPT_SORT_KEYS)
    return _keyed(work, text + instead)


def _keyed(work: Work, text: bytes) -> list[str]:
    """The digests under the present signing key and under each former one."""
    return [hmac.new(secret, text, sha256).hexdigest() for secret in work.tools.key.secrets("idempotency")]


def _written(value: object) -> str:
    return str(text_of(value))


@lru_cache(maxsize=1)
def _claim() -> Sql:
    table = SQLModel.metadata.tables["idempotency"]
    values = {column.name: bindparam(column.name, type_=column.type) for column in table.columns}
    return Sql(*compiled(insert(table).values(values).on_conflict_do_nothing().returning(table.c.key)))


@lru_cache(maxsize=1)
def _find() -> Sql:
    table = SQLModel.metadata.tables["idempotency"]
    query = select(table.c.mutation, table.c.digest, table.c.entity_id, table.c.created_at)
    return Sql(*compiled(query.where(*_this())))


@lru_cache(maxsize=1)
def _forget() -> Sql:
    table = SQLModel.metadata.tables["idempotency"]
    # Another claim may have taken the key since it was found used up: that one stays.
    same = table.c.created_at == bindparam("created_at", type_=table.c.created_at.type)
    return Sql(*compiled(delete(table).where(*_this(), same)))


def _this() -> list[ColumnElement[bool]]:
    table = SQLModel.metadata.tables["idempotency"]
    return [table.c[name] == bindparam(name, type_=table.c[name].type) for name in ("principal", "key")]
