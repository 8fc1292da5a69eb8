"""What every change may use: the worker's settings, schema, keys and what it keeps count of."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schema.model import Model

from ..config import Settings
from ..policy_files.values import Notice
from ..principal import SigningKey
from ..privacy.office import Office
from ..refusals import RefusalRecords
from ..throttle import Throttle


@dataclass(frozen=True)
class Tools:
    """Built once per worker."""

    settings: Settings
    model: Model
    key: SigningKey
    notice: Notice
    forget: Callable[[str, uuid.UUID], None]
    throttle: Throttle
    # The root fields that the token of a partner can be limited to, by its role.
    partner_roots: Mapping[str, frozenset[str]]
    policy_version: str
    refusals: RefusalRecords
    office: Office
