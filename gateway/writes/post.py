"""The one way a change mails somebody: a row of `mail` in the change's own transaction."""

from __future__ import annotations

import uuid
from functools import lru_cache

from sqlalchemy import Boolean, bindparam, insert, select
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from ..mail.letters import Letter
from ..statements.bound import compiled
from .rows import Sql
from .work import Work

_COLUMNS = (
    *("id", "customer_id", "kind", "recipient", "subject", "body", "created_at"),
    "next_attempt_at",
)


async def post(
    work: Work, letter: Letter, recipient: str, customer_id: uuid.UUID | None, *, wanted: bool = True
) -> None:
    """Keeps a message to be sent; where it is not `wanted`, the same statement runs and keeps nothing."""
    await work.row(
        _insert(),
        wanted=wanted,
        id=uuid7(),
        customer_id=customer_id,
        kind=letter.kind,
        recipient=recipient,
        subject=letter.subject,
        body=letter.body,
        created_at=work.now,
        next_attempt_at=work.now,
    )


@lru_cache(maxsize=1)
def _insert() -> Sql:
    table = SQLModel.metadata.tables["mail"]
    values = [bindparam(name, type_=table.c[name].type) for name in _COLUMNS]
    kept = select(*values).where(bindparam("wanted", type_=Boolean()))
    return Sql(*compiled(insert(table).from_select(list(_COLUMNS), kept)))
