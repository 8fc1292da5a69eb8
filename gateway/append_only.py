"""That the role which serves can add records, and change or delete none; checked where `serve` starts."""

from __future__ import annotations

from sqlalchemy import Connection, text

from .errors import StartError
from .migrate import on_database

# As the owner, or a member of it, the role could give itself every right.
_MAY_CHANGE = """
SELECT EXISTS (
    SELECT FROM pg_class
    WHERE oid IN ('access_record'::regclass, 'disclosure'::regclass, 'seal'::regclass)
      AND (pg_has_role(relowner, 'MEMBER')
           OR has_table_privilege(oid, 'DELETE, TRUNCATE')
           OR has_any_column_privilege(oid, 'UPDATE')))"""


def refuse_who_may_change_records(url: str) -> None:
    """Raises `StartError` where the role of the URL may change what was recorded, or owns it.

    Must not be called from a running event loop; the database is of the newest schema.
    """

    def may_change(connection: Connection) -> bool:
        return bool(connection.execute(text(_MAY_CHANGE)).scalar_one())

    if on_database(url, may_change):
        reason = "the role of GATEWAY_DATABASE_URL may change or delete what was recorded, or owns it"
        raise StartError(f"{reason}: serve as the role that `gateway migrate --role` names")
