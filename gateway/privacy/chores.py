"""What a worker does beside answering to carry out what people asked about their data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ..database import Database
from ..mail.sender import Sender
from ..mail.server import read_server
from ..mail.smtp import Smtp
from .erasures import Erasures
from .ledger import Ledger
from .notices import Notices
from .office import Office
from .restrictions import Restrictions

NOTICE_SECONDS, LATE_SECONDS = 2, 3600


@dataclass(frozen=True, slots=True)
class Chore:
    """Work that is done again and again, so many seconds after it was done last; it counts what it did."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[int]]


def chores_of(office: Office, database: Database, clock: Callable[[], datetime]) -> Iterator[Chore]:
    """Erasures, what came in since of who is erased, restrictions, the ledger and notices where set."""
    settings, erasures = office.settings, Erasures(database, office)
    yield Chore("erasures", settings.erasure_seconds, lambda: erasures.run(clock()))
    restrictions = Restrictions(database, office)
    yield Chore("restrictions", settings.erasure_seconds, lambda: restrictions.lift(clock()))
    late = max(LATE_SECONDS, settings.erasure_seconds)
    yield Chore("late_data", late, lambda: erasures.clear_late(clock()))
    if settings.erasure_ledger is not None:
        ledger = Ledger(database, settings.erasure_ledger)
        yield Chore("ledger", settings.erasure_seconds, lambda: ledger.tell(clock()))
    if settings.smtp_url is not None:
        smtp = Smtp(read_server(settings.smtp_url.get_secret_value()), settings.mail_from)
        yield Chore(
            "notices", NOTICE_SECONDS, Sender(Notices(database, office.recipients), smtp, clock).send_due
        )
