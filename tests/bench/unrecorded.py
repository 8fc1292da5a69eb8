"""The gateway without its access records, which no setting of the product makes: for comparison alone."""

from __future__ import annotations

from starlette.types import ASGIApp

import gateway.prepared
from gateway.app import from_environment as gateway_from_environment
from gateway.recording import Unrecorded


def instead(owner: object, name: str, other: object) -> None:
    """Puts something else in the place of what is there; raises `AttributeError` where nothing is."""
    getattr(owner, name)
    setattr(owner, name, other)


def _unrecorded(*_: object) -> Unrecorded:
    return Unrecorded()


def from_environment() -> ASGIApp:
    """The application of the environment's settings, in a process that records nothing."""
    instead(gateway.prepared, "recording_of", _unrecorded)
    return gateway_from_environment()
