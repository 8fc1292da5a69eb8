"""`gateway mail`: the messages that wait in the table, or that could not be sent."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from ..config import Settings
from ..database import DATABASE_ERRORS, Database, DatabaseTimeout
from ..errors import StartError
from .outbox import Outbox

SHOWN = ("id", "kind", "recipient", "subject", "body", "created_at", "attempts", "next_attempt_at")


async def waiting_mail(settings: Settings) -> list[dict[str, Any]]:
    """Every message, the newest first; raises `StartError` where the database does not answer."""
    database = Database(settings)
    try:
        return await Outbox(database).listed()
    except (*DATABASE_ERRORS, DatabaseTimeout) as error:
        raise StartError(f"the database cannot be read: {type(error).__name__}") from error
    finally:
        await database.close()


def as_json(rows: list[dict[str, Any]]) -> str:
    """The messages as a JSON list."""
    return json.dumps([{**_shown(row), "failed_at": _text(row["failed_at"])} for row in rows], indent=2)


def _shown(row: dict[str, Any]) -> dict[str, object]:
    return {name: row[name] if name == "attempts" else _text(row[name]) for name in SHOWN}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def print_mail(rows: list[dict[str, Any]], console: Console) -> None:
    """A table of the messages, and below it the text of each that waits."""
    table = Table("at", "kind", "to", "subject", "state", "attempts")
    for row in rows:
        state = "waiting" if row["failed_at"] is None else "failed"
        at = f"{row['created_at']:%Y-%m-%d %H:%M:%S}"
        table.add_row(at, row["kind"], row["recipient"], row["subject"], state, str(row["attempts"]))
    console.print(table if rows else "no message waits")
    for row in (row for row in rows if row["body"]):
        # Links are for copying: no line of theirs may be broken.
        console.print(f"\n{row['subject']}\n\n{row['body']}", soft_wrap=True, highlight=False, markup=False)
