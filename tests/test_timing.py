"""How long an answer takes says nothing of whether an address is known."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from statistics import median

import pytest

from tests.signing_in import PASSWORD, call, confirmed, letters, refusal
from tests.world import World
from tests.writing import another_gateway

pytestmark = [pytest.mark.slow, pytest.mark.alone]

PAIRS, SHUFFLES = 120, 2000
# A difference counts where chance would make it once in a thousand times, and where it could be told at all.
UNLIKELY, TELLING = 0.001, 0.05
# An answer that is held back is told by the loop's timers, which count milliseconds: one of 50.
TELLING_WHERE_EVENED = 0.02


def seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def chance_of(differences: list[float]) -> float:
    """How often random signs make the paired differences' sum as large (a permutation test)."""
    draw, seen = random.Random(1), abs(sum(differences))
    as_large = sum(
        abs(sum(one if draw.random() < 0.5 else -one for one in differences)) >= seen for _ in range(SHUFFLES)
    )
    return (as_large + 1) / (SHUFFLES + 1)


def compared(known: Callable[[], object], unknown: Callable[[], object]) -> tuple[float, float]:
    """The chance of the difference between the two, asked in turn, and how large it is beside an answer."""
    for step in (known, unknown):
        step()
    pairs = []
    for turn in range(PAIRS):
        steps = (known, unknown) if turn % 2 else (unknown, known)
        took = {step: seconds(step) for step in steps}
        pairs.append((took[known], took[unknown]))
    # What interrupts one of a pair says nothing: the outermost tenth of the differences is left out.
    differences = sorted(one - other for one, other in pairs)[PAIRS // 20 : -PAIRS // 20]
    share = abs(median(differences)) / median(other for _, other in pairs)
    return chance_of(differences), share


def test_a_wrong_password_takes_as_long_for_an_address_that_nobody_has(writable: World) -> None:
    account, nobody = confirmed(writable), f"{uuid.uuid4().hex}@store.example"

    def sign_in(email: str) -> object:
        found = call(writable, "signIn", email=email, password="not the password")
        assert found == refusal("signIn")
        return found

    chance, share = compared(lambda: sign_in(account.email), lambda: sign_in(nobody))
    assert chance > UNLIKELY or share < TELLING, (chance, share)


@pytest.mark.parametrize("minutes", [0, 5])
def test_asking_for_a_new_password_takes_as_long_for_an_address_that_nobody_has(
    writable: World, minutes: int
) -> None:
    """Where each asking mails a link (0 minutes), and where one was mailed a moment ago."""
    account, nobody = confirmed(writable), f"{uuid.uuid4().hex}@store.example"
    with another_gateway(writable, password_reset_again_minutes=minutes) as world:

        def ask(email: str) -> object:
            found = call(world, "requestPasswordReset", email=email)
            assert found == {"accepted": True, "userErrors": []}
            return found

        chance, share = compared(lambda: ask(account.email), lambda: ask(nobody))
    mailed = len(letters(writable, account, "password-reset"))
    assert mailed == (1 if minutes else 1 + PAIRS)
    assert chance > UNLIKELY or share < TELLING_WHERE_EVENED, (chance, share)


def test_the_comparison_finds_what_answers_sooner(writable: World) -> None:
    account = confirmed(writable)

    def right() -> object:
        return call(writable, "signIn", email=account.email, password=PASSWORD)

    chance, share = compared(right, lambda: writable.ask("anonymous", "{ viewer { role } }"))
    assert chance <= UNLIKELY
    assert share > TELLING


def test_a_link_that_nobody_was_given_takes_as_long_as_a_path_that_leads_nowhere(writable: World) -> None:
    """Of the form of a link, so that it is looked up."""

    def ask(path: str) -> None:
        assert writable.client.get(path).status_code == 404

    chance, share = compared(lambda: ask(f"/u/{'A' * 43}"), lambda: ask("/nowhere"))
    assert chance > UNLIKELY or share < TELLING_WHERE_EVENED, (chance, share)
