"""The attack checks as tables: what is sent, and with which statuses and codes it has to be answered.

After the last five rows of the known holes of such systems, and what graphql-cop, GraphQL Armor and the OWASP
cheat sheet for GraphQL try. `tests/test_attack_checks.py` sends them.
"""

from __future__ import annotations

from .bodies import BATCHES, BODIES, CALLERS, STRANGE
from .check import Check
from .leaks import LEAKS
from .overloading import NUMBERS, OVERLOADING

CHECKS: dict[str, Check] = {
    f"{group}: {name}": check
    for group, checks in (
        ("overloading", OVERLOADING),
        ("numbers", NUMBERS),
        ("bodies", BODIES),
        ("batches", BATCHES),
        ("strange requests", STRANGE),
        ("leaks", LEAKS),
        ("callers", CALLERS),
    )
    for name, check in checks.items()
}
