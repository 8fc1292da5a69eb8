"""A copy for a person who asked by letter, written to a file by the owner of the database.

One transaction makes the request, the record of access and the copy, which is read from the table piece by
piece and leaves it again.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from uuid_utils.compat import uuid7

from schema.model import Model
from schema.personal import personal_columns
from schema.scalars import global_id

from ..connections import Transaction
from ..database import Database
from ..errors import StartError
from .copy import Copied, Copies, Piece, next_piece
from .dates import due_at
from .parts import PARTS

COMMAND, OPERATION = "command", "gateway subject export"
PIECE_BYTES = 1024 * 1024
_BY_NUMBER = "SELECT id FROM customer WHERE number = $1 FOR NO KEY UPDATE"
_BY_ID = "SELECT id FROM customer WHERE id = $1 FOR NO KEY UPDATE"
_REQUEST = """
INSERT INTO subject_request (id, customer_id, kind, channel, received_at, due_at, status, decision,
                             decided_at, executed_at, completed_at, handled_by)
VALUES ($1, $2, 'EXPORT', 'EMPLOYEE', $3, $4, 'COMPLETED', 'ACCEPTED', $3, $3, $3, $5)"""
_RECORD = """
INSERT INTO access_record (id, at, principal_id, role, purpose, operation_name, operation_hash, fields,
                           subject_ids, policy_version, notice_version, request_id, decision)
VALUES ($1, $2, $3, $3, 'subject-rights', $4, $5, $6, $7, $8, $9, $10, 'ALLOWED')"""
_AWAY = "DELETE FROM export_document WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Letter:
    """Whose copy is wanted, by their number or key, and the file it goes to."""

    who: str | uuid.UUID
    output: Path


@dataclass(frozen=True, slots=True)
class Versions:
    """Under which policy and notice it is done."""

    policy: str
    notice: str


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the global ids of request and person, the file, its size and its digest."""

    subject_request: str
    customer: str
    output: str
    bytes: int
    sha256: str


async def export_by_letter(
    database: Database, letter: Letter, now: datetime, copies: Copies, model: Model, versions: Versions
) -> Written:
    """Writes the copy; raises `StartError` where there is no such person, or a file already.

    # INVARIANT: no file without its record: a file whose transaction fails is removed.
    """
    descriptor = _new_file(letter.output)
    try:
        with os.fdopen(descriptor, "wb") as file:
            async with database.transaction(None) as transaction:
                customer = await _customer(transaction, letter.who)
                request = uuid7()
                await transaction.row(_REQUEST, (request, customer, now, due_at(now), COMMAND))
                await _record(transaction, customer, now, model, versions)
                of = Copied(uuid7(), customer, request, now, now)
                await copies.make(transaction, of)
                size, digest, after = 0, sha256(), -1
                while isinstance(
                    found := await next_piece(transaction.row, of.key, after, PIECE_BYTES), Piece
                ):
                    digest.update(found.bytes)
                    size, after = size + file.write(found.bytes), found.number
                await transaction.row(_AWAY, (of.key,))
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        letter.output.unlink(missing_ok=True)
        raise
    shown = global_id("SubjectRequest", request), global_id("Customer", customer)
    return Written(*shown, str(letter.output), size, digest.hexdigest())


def _new_file(output: Path) -> int:
    try:
        return os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise StartError(f"`--output`: the file cannot be made: {error.strerror}") from error


async def _customer(transaction: Transaction, who: str | uuid.UUID) -> uuid.UUID:
    row = await transaction.row(_BY_NUMBER if isinstance(who, str) else _BY_ID, (who,))
    if row is None:
        raise StartError("the database knows no such customer: give `--number` or `--id`")
    found: uuid.UUID = row["id"]
    return found


async def _record(
    transaction: Transaction, customer: uuid.UUID, now: datetime, model: Model, versions: Versions
) -> None:
    """Whoever runs the command has the whole copy: the record names every field of it."""
    fields = fields_of(model)
    digest = sha256(OPERATION.encode()).hexdigest()
    about = (uuid7(), now, COMMAND, OPERATION, digest, fields, [customer])
    await transaction.row(_RECORD, (*about, versions.policy, versions.notice, uuid.uuid4().hex))


def fields_of(model: Model) -> list[str]:
    """The coordinates that show what is in a copy, sorted."""
    given = {str(column) for part in PARTS for column in part.columns}
    return sorted(
        {one for column in personal_columns(model) if column.name in given for one in column.coordinates}
    )
