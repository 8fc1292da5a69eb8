"""What the gateway's log wrote while the tests ran, and whether anything personal stands in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlmodel import SQLModel

from schema.tags import Personal

# What is made anew for each line, exactly as it is made: any other form stays, and is looked through.
MADE = re.compile(
    rb'"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z",?|"duration_ms":[0-9.]{1,12},?'
    rb'|"(?:request_id|connection_id)":"[0-9a-f]{32}",?|"operation":"[0-9a-f]{64}",?'
)
# Tokens, addresses and headers, whoever they are of.
SECRETS = re.compile(rb"cr[a-z]_[0-9a-f]{16}|eyj[a-z0-9_-]{16}|[a-z0-9.]@[a-z0-9]|bearer [a-z0-9]")
# Categories whose texts are as good as unique; a status or a country is not.
TELLING = ("user.name", "user.contact", "user.content", "user.authorization", "user.financial.bank_account")
SHORTEST = 5
RECORDS = ("access_record", "disclosure")
# Random, a digest, a time or a count: digits that happen to be somebody's.
MADE_COLUMNS = ("id", "number", "at", "request_id", "policy_version")
GIVEN = {f"{name}.{column}" for name in RECORDS for column in MADE_COLUMNS}
# What a document calls itself; that no number of somebody's stands in it, test_records_written shows.
GIVEN |= {"access_record.operation_name"}
GIVEN |= {"access_record.operation_hash", "access_record.subject_ids", "disclosure.fields_digest"}
# What these columns are there to keep: what an authority said of its demand.
GIVEN |= {"disclosure.case_number", "disclosure.requester", "disclosure.statute"}


@dataclass
class Collected:
    """Everything logged in this process, each line once; the lines of the running test as they came."""

    lines: list[bytes] = field(default_factory=list)
    distinct: set[bytes] = field(default_factory=set)
    needles: set[str] = field(default_factory=set)

    def write(self, line: bytes) -> None:
        """Takes a line where standard error would."""
        self.lines.append(line)
        self.distinct.add(MADE.sub(b"", line))

    def answered(self, response: Any) -> None:
        """Takes the errors of an answer."""
        if b'"errors"' in response.read():
            try:
                errors = response.json().get("errors", ())
            except (ValueError, AttributeError):
                return
            self.distinct.update(json.dumps(error, ensure_ascii=False).encode() for error in errors)

    def seen(self, rows: Mapping[str, list[dict[str, Any]]], tokens: Iterable[str] = ()) -> None:
        """Takes the personal values of a register, to be looked for, and what its records of access say."""
        self.needles |= personal_values(rows) | {token for token in tokens if token}
        self.distinct |= {text.encode() for text in record_texts(rows)}

    @property
    def text(self) -> str:
        """What was logged since the test began."""
        return b"".join(self.lines).decode()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of one event since the test began."""
        found = [json.loads(line) for line in list(self.lines)]
        return [line for line in found if line["event"] == name]


def personal_values(rows: Mapping[str, list[dict[str, Any]]]) -> set[str]:
    """The texts of every telling personal column, long enough not to be found by chance."""
    found = set()
    for name, table in SQLModel.metadata.tables.items():
        for one in table.columns:
            tag = one.info.get("tag")
            if name in RECORDS or not isinstance(tag, Personal) or not tag.category.startswith(TELLING):
                continue
            found |= {row[one.name] for row in rows[name] if isinstance(row[one.name], str)}
    return {value for value in found if len(value) >= SHORTEST}


def record_texts(rows: Mapping[str, list[dict[str, Any]]]) -> set[str]:
    """Every text in the records of access and the disclosures, single or in a list; an id is no text."""
    found: set[str] = set()
    for name in RECORDS:
        for row in rows[name]:
            for column, value in row.items():
                values = value if isinstance(value, list) else [value]
                if f"{name}.{column}" not in GIVEN:
                    found |= {str(one) for one in values if one is not None and not isinstance(one, UUID)}
    return found


def leaks(texts: Iterable[bytes], needles: Iterable[str]) -> list[tuple[str, str]]:
    """Each needle or secret that stands in one of the texts, in any case, with that text."""
    lines = [text.decode("utf-8", "replace").lower() for text in texts]
    whole = "\n".join(lines)
    hits = [needle.lower() for needle in needles if needle.lower() in whole]
    found = [(needle, next(line for line in lines if needle in line)) for needle in hits]
    return found + [(hit[0].decode(), "a secret") for hit in SECRETS.finditer(whole.encode())]


COLLECTED = Collected()
