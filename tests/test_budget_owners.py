"""Whose budget it is that is spent, and when there is room again."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.budget.spending import Budget
from gateway.budget.windows import Window, Windows
from gateway.config import Settings
from gateway.errors import TooMany
from gateway.principal import Principal
from gateway.principal.values import ANONYMOUS
from gateway.throttle import SITE_NETWORKS
from tests.world import Clock


def budget_of(clock: Clock, **given: Any) -> Budget:
    settings = Settings(database_url="postgresql://nowhere")  # type: ignore[arg-type]
    return Budget(settings.model_copy(update=given), b"secret", lambda: clock().timestamp())


def test_a_network_of_ipv6_is_one_and_its_site_has_room_for_a_few() -> None:
    budget = budget_of(Clock())
    purses = [budget.purse(ANONYMOUS, f"2001:db8:1:{number:x}::{number + 1:x}") for number in range(2)]
    same = budget.purse(ANONYMOUS, "2001:db8:1:0:9::9")
    assert same == purses[0]
    assert purses[0].parts[0] != purses[1].parts[0]
    assert purses[0].parts[1] == purses[1].parts[1]
    assert len(budget.purse(ANONYMOUS, "192.0.2.1").parts) == 1
    assert budget.purse(ANONYMOUS, None) == budget.purse(ANONYMOUS, None)


def test_a_network_pays_nothing_for_what_its_site_has_no_room_for() -> None:
    budget = budget_of(Clock(), budget_per_minute=1000)
    *others, last = (
        budget.purse(ANONYMOUS, f"2001:db8:1:{number:x}::1") for number in range(SITE_NETWORKS + 1)
    )

    async def spend() -> int:
        for purse in others:
            await budget.take(purse, 999)
        for _ in range(3):
            with pytest.raises(TooMany):
                await budget.take(last, 400)
        return (await budget.standing(last, 0)).remaining

    assert asyncio.run(spend()) == 1000


def test_who_keeps_asking_is_not_forgotten_for_those_who_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many others there are: what was spent counts on, also of who came first in the minute."""
    monkeypatch.setattr("gateway.budget.windows.MOST_KEYS", 10)
    windows = Windows(lambda: 30.0)
    for number in range(40):
        assert windows.spend("somebody", 100, 60, 2)
        windows.spend(f"stranger {number}", 100, 60, 2)
    assert windows.window("somebody", 60).current == 80
    assert windows.window("stranger 0", 60).current == 0


def test_no_key_holds_what_it_counts() -> None:
    budget = budget_of(Clock())
    someone = Principal("customer", "Q3VzdG9tZXI6Zm9v")
    for purse, text in (
        (budget.purse(ANONYMOUS, "192.0.2.1"), "192.0.2"),
        (budget.purse(someone, None), "Q3Vz"),
    ):
        ((key, _),) = purse.parts
        assert len(key) == 64
        assert text not in key


@pytest.mark.parametrize(
    ("window", "wait"),
    [
        (Window(0, 0, 0, 0), 1),
        (Window(60, 60, 0, 0), 30),  # half of what was spent a minute ago has to be forgotten
        (Window(60, 30, 30, 90), 30),  # all of it, as half is spent anew
        (Window(0, 0, 60, 120), 90),  # the present minute, and half of the next
        (Window(0, 0, 60, 61), 31),
    ],
)
def test_the_wait_is_until_there_is_room(window: Window, wait: int) -> None:
    """Of 60 a minute, for 30."""
    assert window.wait(60, 60, 30) == wait


def test_never_is_more_spent_than_twice_the_budget_in_any_minute_and_waiting_is_always_enough() -> None:
    """Somebody who asks again just when they may gets the budget a minute, in the long run, and no more."""
    clock = Clock()
    budget = budget_of(clock, budget_per_minute=1000)
    purse = budget.purse(ANONYMOUS, "192.0.2.1")
    times: list[datetime] = []

    async def greedy() -> None:
        end = clock.now + timedelta(minutes=20)
        while clock.now < end:
            try:
                await budget.take(purse, 100)
            except TooMany as refused:
                before = clock.now
                clock.now = before + timedelta(seconds=refused.retry_after_seconds)
                await budget.take(purse, 100)
            times.append(clock.now)

    asyncio.run(greedy())
    # Waits are whole seconds, which loses a little.
    assert 17 * 10 <= len(times) <= 21 * 10
    for moment in times:
        assert sum(moment <= other < moment + timedelta(minutes=1) for other in times) <= 20
