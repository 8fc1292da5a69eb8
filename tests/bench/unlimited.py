"""The gateway that counts nothing, which no setting of the product makes: for comparison alone."""

from __future__ import annotations

import os
from typing import Any

from starlette.types import ASGIApp

import gateway.answer
import gateway.operation
from gateway.app import from_environment as gateway_from_environment
from gateway.budget.spending import Budget
from gateway.config import Settings

from .unrecorded import instead

# Settings that say how much something may be, and how many of a minute.
BOUNDS = ("_limit", "_limit_bytes", "_per_minute", "_quota")
BOUNDLESS = 10**15
# Those that are bound as an Int, by which something is reserved, or that hold the others.
SMALLER = {"budget_per_minute": 10**18, "read_quota": 2**31 - 1, "page_limit": 100, "list_limit": 10**6}


def boundless() -> dict[str, str]:
    """The environment of a gateway whose every limit is raised beyond whatever is asked."""
    names = [name for name in Settings.model_fields if name.endswith(BOUNDS)]
    return {f"GATEWAY_{name.upper()}": str(SMALLER.get(name, BOUNDLESS)) for name in names}


async def _takes_nothing(*_: Any) -> None:
    pass


def _counts_nothing(*_: Any) -> None:
    pass


def from_environment() -> ASGIApp:
    """The application of the environment's settings, in a process that neither limits nor counts."""
    os.environ.update(boundless())
    for module, name in (
        (gateway.operation, "check_length"),
        (gateway.operation, "check_limits"),
        (gateway.answer, "check_length"),
    ):
        instead(module, name, _counts_nothing)
    for module in (gateway.answer, gateway.operation):
        instead(module, "check_variables", lambda *_: 0)
    for name in ("purse", "check"):
        instead(Budget, name, _counts_nothing)
    for name in ("take", "take_for_mistake"):
        instead(Budget, name, _takes_nothing)
    return gateway_from_environment()
