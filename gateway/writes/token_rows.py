"""The statements of partners' tokens."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Uuid, bindparam, case, cast, false, func, or_, select, update
from sqlmodel import SQLModel

from ..row_rules import row_of
from ..statements.bound import compiled
from .rows import Sql

COPIED = ("partner", "kind", "carrier_id", "operations", "networks", "documents", "deliveries", "parent_id")


@lru_cache(maxsize=1)
def token_with_parents() -> Sql:
    """The token `key`: what it is limited to, when it was issued, and how those it was narrowed from stand.

    `ends_at` and `ended_at` are the earliest end and a revocation of it and of those; `parents_end` is
    theirs alone; `depth` counts them. While its carrier is not active, a token has ended.
    """
    token, parent, above = (row_of("partner_token", number) for number in (1, 2, 3))
    carrier = row_of("carrier", 4)
    rows = token.outerjoin(parent, parent.c.id == token.c.parent_id)
    rows = rows.outerjoin(above, above.c.id == parent.c.parent_id)
    rows = rows.outerjoin(carrier, carrier.c.id == token.c.carrier_id)
    stopped = case((carrier.c.active.is_(false()), token.c.created_at))
    shown: list[Any] = [token.c[name] for name in ("id", "first_id", "created_at", "expires_at", *COPIED)]
    query = select(
        *shown,
        func.least(token.c.expires_at, parent.c.expires_at, above.c.expires_at).label("ends_at"),
        func.coalesce(token.c.revoked_at, parent.c.revoked_at, above.c.revoked_at, stopped).label("ended_at"),
        func.least(parent.c.expires_at, above.c.expires_at).label("parents_end"),
        (cast(parent.c.id.is_not(None), Integer) + cast(above.c.id.is_not(None), Integer)).label("depth"),
    )
    return _sql(query.select_from(rows).where(token.c.id == _key()))


@lru_cache(maxsize=1)
def lock_rotation() -> Sql:
    """Every key of the rotation that began with the token `first`, locked in the order of their ids."""
    token = row_of("partner_token", 1)
    first = bindparam("first", type_=Uuid())
    query = select(token.c.id, token.c.expires_at, token.c.revoked_at)
    query = query.where(or_(token.c.id == first, token.c.first_id == first)).order_by(token.c.id)
    return _sql(query.with_for_update(of=token, key_share=True))


@lru_cache(maxsize=1)
def end_token() -> Sql:
    """Has the token `key` end at `end`."""
    table = SQLModel.metadata.tables["partner_token"]
    end = bindparam("end", type_=table.c.expires_at.type)
    return _sql(update(table).where(table.c.id == _key()).values(expires_at=end))


@lru_cache(maxsize=1)
def revoke_token() -> Sql:
    """Revokes the token `key` now, unless it is already."""
    table = SQLModel.metadata.tables["partner_token"]
    now = bindparam("now", type_=table.c.revoked_at.type)
    query = update(table).where(table.c.id == _key(), table.c.revoked_at.is_(None))
    return _sql(query.values(revoked_at=now).returning(table.c.id))


@lru_cache(maxsize=1)
def revoke_from() -> Sql:
    """Revokes the keys of the rotation that began with `first`, those issued from the moment `since` on."""
    table = SQLModel.metadata.tables["partner_token"]
    now, first = bindparam("now", type_=table.c.revoked_at.type), bindparam("first", type_=Uuid())
    query = update(table).where(
        or_(table.c.id == first, table.c.first_id == first),
        table.c.created_at >= bindparam("since", type_=table.c.created_at.type),
        table.c.revoked_at.is_(None),
    )
    return _sql(query.values(revoked_at=now).returning(table.c.id))


def _key() -> Any:
    return bindparam("key", type_=Uuid())


def _sql(query: Any) -> Sql:
    return Sql(*compiled(query))
