"""What an operation became for one access profile: its plan, its SQL, and the fixed parts of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .grants import Grants
from .operation import Operation, digest_of
from .plan import Plan
from .plan.values import LocalRoot, MutationRoot
from .principal import Principal
from .recording import Recording, Unrecorded, recording_of
from .response import Tail, tail_of
from .statements import NoStatement, Statement, compile_plan
from .writes import Payload

# A parsed document takes about a hundred times its text, a statement's SQL three times its own.
PARSED_WEIGHT = 30
# What is kept of any operation, in characters of a document; so that short ones are not kept without number.
OPERATION_OVERHEAD = 150
# What was seen of the defaults in a document, in a plan's key: at most fourteen bytes a character.
SEEN_WEIGHT = 5
# Up to how many values of the variables a plan's key holds what was seen as it is; of more it holds a digest.
FEW_VALUES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A plan with its statement and the fixed parts of its answers: what the plan cache holds."""

    plan: Plan
    statement: Statement | NoStatement
    tail: Tail
    payloads: Mapping[str, Payload]
    recording: Recording | Unrecorded
    # Of the operation's document.
    length: int
    _brief: list[Statement] = field(default_factory=list)

    def brief(self) -> Statement:
        """The statement that gives the same where all it writes once is known; made when first asked for."""
        if not self._brief:
            made = compile_plan(self.plan, self.recording, is_brief=True)
            assert isinstance(made, Statement)  # noqa: S101  # as the whole one is
            self._brief.append(made)
        return self._brief[0]


def prepare(made: Plan, operation: Operation, principal: Principal, grants: Grants) -> Prepared:
    """What becomes of a plan: its SQL, that of its payloads, and what all its answers share."""
    recording = recording_of(principal, grants, operation)
    statement = NoStatement() if operation.is_mutation else compile_plan(made, recording)
    payloads = {
        root.key: Payload(root.payload, compile_plan(root.payload, recording, only_found=True))
        for root in made.roots
        if isinstance(root, MutationRoot)
    }
    return Prepared(made, statement, tail_of(made), payloads, recording, operation.length)


def seen_key(operation: Operation, variables: Mapping[str, object], count: int) -> object:
    """What a plan may depend on in these variables of so many values, for its key: never more than a little.

    # PERF: a digest takes 1 µs a value, so that of few values there is none.
    """
    seen = operation.seen(variables)
    return seen if count <= FEW_VALUES else digest_of(repr(seen))


def operation_weight(operation: Operation) -> int:
    """What an operation weighs in its cache: the length of its document, and what the shortest takes too."""
    return OPERATION_OVERHEAD + operation.length


def prepared_weight(prepared: Prepared) -> int:
    """What a plan weighs in its cache: its SQL and errors, and what is held of its document."""
    sql = 0
    if isinstance(prepared.statement, Statement):
        # Its brief one, if it has one, comes later.
        sql += len(prepared.statement.sql) * (1 if prepared.statement.noting is None else 2)
    sql += sum(payload.weight for payload in prepared.payloads.values())
    # INVARIANT: no other root, and no key, holds a part of the document.
    is_held = any(isinstance(root, LocalRoot | MutationRoot) for root in prepared.plan.roots)
    document = prepared.length * (SEEN_WEIGHT + (PARSED_WEIGHT if is_held else 0))
    return 1000 + sql + document + len(prepared.tail.partial)
