"""What is hashed: a row as one line of JSON, the lines of a batch as leaves, and the batch as a seal.

    line    a JSON text of the columns listed for its version, made by PostgreSQL
    leaf    the row's number (8 bytes) and the SHA-256 of its line (32 bytes)
    leaves  the leaves of a batch, in order of number
    digest  SHA-256 of the leaves
    seal    SHA-256 of the previous seal, what the seal says of its batch, the digest, and the chain's name

Numbers are big-endian and of fixed width, and the name alone has no fixed length and stands last, so that no
two seals are made of the same bytes. The first seal follows 32 zero bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NUMBER_BYTES, DIGEST_BYTES = 8, 32
LEAF_BYTES = NUMBER_BYTES + DIGEST_BYTES
NOTHING = bytes(DIGEST_BYTES)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The columns of a line by its version; a version is never changed, as rows are sealed by it.
_ACCESS_RECORD = (
    "number id at principal_id role designation_id purpose case_reference operation_name operation_hash"
    " fields subject_ids policy_version notice_version request_id decision"
)
_DISCLOSURE = (
    "number id customer_id recipient purpose at fields fields_digest ref_id statute requester case_number"
    " visible_to_subject notice_status policy_version notice_version request_id"
)
# The same text whatever the session's time zone and its form of bytes.
_FORMS = {
    "at": "(to_json(r.at AT TIME ZONE 'UTC') #>> '{}') || 'Z'",
    "fields_digest": "encode(r.fields_digest, 'hex')",
}


@dataclass(frozen=True, slots=True)
class Chain:
    """A table whose rows are sealed: its columns by version of the line, and how long its rows are kept.

    `rule` is one of `policies/retention.yaml`.
    """

    name: str
    rule: str
    columns: Mapping[int, tuple[str, ...]]

    @property
    def version(self) -> int:
        """The version that lines are sealed in now."""
        return max(self.columns)

    def line(self, version: int) -> str:
        """The SQL of the line of a row `r`."""
        pairs = ", ".join(f"'{name}', {_FORMS.get(name, f'r.{name}')}" for name in self.columns[version])
        return f"json_build_object('chain', '{self.name}', 'version', {version}, {pairs})::text"

    def leaf(self, version: int) -> str:
        """The SQL of the leaf of a row `r`."""
        return f"int8send(r.number) || sha256(convert_to({self.line(version)}, 'UTF8'))"


ACCESS_RECORD = Chain("access_record", "R-ACCESS", {1: tuple(_ACCESS_RECORD.split())})
DISCLOSURE = Chain("disclosure", "R-DISCLOSURE", {1: tuple(_DISCLOSURE.split())})
CHAINS = (ACCESS_RECORD, DISCLOSURE)


@dataclass(frozen=True, slots=True)
class Seal:
    """A row of the table `seal`; `leaves` are None once its rows were dropped, at `dropped_at`."""

    chain: str
    number: int
    first_number: int
    last_number: int
    records: int
    line_version: int
    leaves: bytes | None
    digest: bytes
    previous: bytes
    seal: bytes
    sealed_at: datetime
    dropped_at: datetime | None

    def computed(self) -> bytes:
        """The seal that fits what it says, which a sound one is; `HEADER` is the same in SQL."""
        sealed_at = (self.sealed_at - EPOCH) // timedelta(microseconds=1)
        numbers = (self.number, self.first_number, self.last_number, self.records, self.line_version)
        header = struct.pack(">qqqiiq", *numbers, sealed_at)
        return hashlib.sha256(self.previous + header + self.digest + self.chain.encode()).digest()


# The SQL of what a seal is the SHA-256 of, of a row `s` with the columns of the table.
HEADER = (
    "s.previous || int8send(s.number) || int8send(s.first_number) || int8send(s.last_number)"
    " || int4send(s.records) || int4send(s.line_version)"
    " || int8send((extract(epoch FROM s.sealed_at) * 1000000)::bigint) || s.digest"
    " || convert_to(s.chain, 'UTF8')"
)
