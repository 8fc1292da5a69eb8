"""The run of a day as it is started: by the command, or once a day by a worker of `gateway serve`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

from schema.model import load_model

from ...audit.drop import Dropped, drop
from ...audit.source import connected
from ...config import Settings
from ...errors import StartError
from ...policy import Policy, load_policy
from ...policy_files.values import Moment
from ...principal import SigningKey
from ..kept_until import day_of, fiscal_years
from ..office import proof_of
from .run import Busy, Run, is_done, steps
from .steps import Day, Step, Touched

# What each rule's period runs from, in the statements of the steps.
AFTER: Mapping[str, Moment] = {
    "R-ACCOUNT": Moment.LAST_ACTIVITY,
    "R-CONTACT": Moment.DELIVERY_END,
    "R-DELIVERY": Moment.DELIVERY_END,
    "R-CLAIM": Moment.DELIVERY_END,
    "R-VOUCHER": Moment.FISCAL_YEAR,
    "R-IBAN": Moment.REFUND,
    "R-CONSENT": Moment.WITHDRAWAL,
    "R-ACCESS": Moment.RECORD,
    "R-DISCLOSURE": Moment.DISCLOSURE,
}


@dataclass(slots=True)
class Done:
    """How many rows of which rule and table were changed, and what was dropped of the records."""

    day: date
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)

    def add(self, one: Touched) -> None:
        """Counts a row."""
        key = (one.rule, one.table)
        self.counts[key] = self.counts.get(key, 0) + 1

    @property
    def rows(self) -> int:
        """How many rows that were, with the records that were dropped."""
        return sum(self.counts.values()) + sum(one.records for one in self.dropped)


@dataclass(frozen=True)
class Daily:
    """What the runs of a gateway need; `policy` says the periods."""

    settings: Settings
    policy: Policy

    def day(self, now: datetime, *, dry: bool) -> Day:
        """The day of a moment; raises `StartError` where a run has no key to prove consents with.

        Also where a rule of the policy runs from another moment than the steps know.
        """
        for name, moment in AFTER.items():
            if self.policy.retention[name].after is not moment:
                raise StartError(f"retention.yaml: the run knows `{name}` only as `after: {moment}`")
        return Day(
            day_of(now),
            now,
            self.policy.retention,
            fiscal_years(self.settings),
            self.settings.periods(),
            None if dry else _proof(self.settings),
        )

    async def run(
        self,
        now: datetime,
        told: Callable[[Touched], None] = lambda _: None,
        begins: Callable[[Step], None] = lambda _: None,
        *,
        dry: bool = False,
    ) -> Done:
        """Does what is due on the day of this moment, or with `dry` only says it; raises `Busy`."""
        url, day = keeper_url(self.settings), self.day(now, dry=dry)
        done = Done(day.day)
        async with connected(url, "gateway retention") as connection:
            made = steps(self.settings.public_url)
            run = Run(connection, day, self.policy.version, made, dry, begins=begins)
            async for one in run.touched():
                done.add(one)
                told(one)
            done.dropped = await drop(connection, self._periods(), now, dry_run=dry)
        return done

    async def once_a_day(self, now: datetime) -> int:
        """Counts the rows; none before the hour of the settings, and once it was done on this day."""
        if self.settings.retention_hour is None or now.hour < self.settings.retention_hour:
            return 0
        async with connected(keeper_url(self.settings), "gateway retention") as connection:
            if await is_done(connection, self.day(now, dry=True)):
                return 0
        return (await self.run(now)).rows

    def _periods(self) -> dict[str, Any]:
        return {name: rule.period for name, rule in self.policy.retention.items()}


def open_daily(settings: Settings) -> Daily:
    """The runs under the policy of the settings."""
    return Daily(settings, load_policy(settings.policy_folder, load_model()))


def once_a_day(settings: Settings) -> Callable[[datetime], Awaitable[int]]:
    """What a worker does again and again, which counts rows on one of the times of a day."""
    daily = open_daily(settings)

    async def chore(now: datetime) -> int:
        try:
            return await daily.once_a_day(now)
        except Busy:
            return 0

    return chore


def keeper_url(settings: Settings) -> str:
    """The database as the role that may delete; raises `StartError` where the settings name none."""
    if settings.keeper_database_url is None or not settings.keeper_database_url.get_secret_value():
        raise StartError("setting GATEWAY_KEEPER_DATABASE_URL: field required")
    return settings.keeper_database_url.get_secret_value()


def _proof(settings: Settings) -> Callable[[str], bytes]:
    """What an address is known by when nothing else of the person is left, as an erasure keeps it too."""
    secret = SigningKey.load(settings.signing_key_file).secrets("consent")[0]
    return partial(proof_of, secret)
