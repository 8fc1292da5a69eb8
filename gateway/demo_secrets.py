"""What `gateway serve` refuses to start with: the demo's secrets, whose tokens are printed and lie in files.

The demo marks its signing key and its database; both marks are for this module alone.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, text

from .config import Settings
from .errors import StartError
from .migrate import on_database

# The first line of the demo's key file: before a key any text may stand (RFC 7468, section 2).
KEY_MARK = b"made by gateway demo, for made-up data alone\n"
DATABASE_MARK = "demo.tokens"


def mark_key(path: Path) -> None:
    """Makes a key file the demo's, where it is not yet."""
    found = path.read_bytes()
    if not found.startswith(KEY_MARK):
        path.write_bytes(KEY_MARK + found)


def mark_database(owner_url: str) -> None:
    """Makes a database the demo's, which holds tokens that are printed."""
    add = text("INSERT INTO setting (name, value) VALUES (:name, 'printed') ON CONFLICT DO NOTHING")
    on_database(owner_url, lambda connection: connection.execute(add, {"name": DATABASE_MARK}))


def refuse_demo_keys(settings: Settings) -> None:
    """Raises `StartError` where one of the keys that sign or verify tokens is the demo's."""
    for path in (settings.signing_key_file, *settings.former_key_files):
        if path is not None and _is_marked(path):
            reason = "is the demo's, whose tokens are printed: make another with `gateway token --new-key`"
            raise StartError(f"signing key {path}: {reason}")


def refuse_demo_database(url: str) -> None:
    """Raises `StartError` where the database, of the newest schema, is the demo's."""

    def is_marked(connection: Connection) -> bool:
        query = text("SELECT EXISTS (SELECT FROM setting WHERE name = :name)")
        return bool(connection.execute(query, {"name": DATABASE_MARK}).scalar_one())

    if on_database(url, is_marked):
        message = "is the demo's, whose tokens are printed: serve another"
        raise StartError(f"the database {message}")


def _is_marked(path: Path) -> bool:
    try:
        return path.read_bytes().startswith(KEY_MARK)
    except OSError:
        return False  # whoever loads it says what is wrong
