"""`gateway retention run`: clears what no rule keeps any more, or lists what would be cleared."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .audit_commands import PATIENCE_SECONDS, AsJson, DataDir, place_settings
from .config import Settings
from .errors import StartError
from .principal import utc_now
from .privacy.retention.daily import Daily, Done, open_daily
from .privacy.retention.run import Busy, steps
from .privacy.retention.steps import Step, Touched

retention_commands = typer.Typer(help="What is kept for how long.", no_args_is_help=True)


@retention_commands.command("run")
def run(
    at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="As if this day began; left out, now."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the rows that would be changed, and which columns.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Clear what no rule of retention.yaml keeps any more, as the role of GATEWAY_KEEPER_DATABASE_URL."""
    now = utc_now() if at is None else at.replace(tzinfo=UTC)
    settings = place_settings(data_dir)
    listing = Listing(now.date(), is_dry=dry_run, as_json=as_json)
    try:
        done = asyncio.run(_run(open_daily(settings), now, listing, settings))
    except Busy:
        raise StartError("another instance is at it: it does all of it") from None
    listing.end(done)
    if any(one.left for one in done.dropped):
        raise typer.Exit(1)


async def _run(daily: Daily, now: datetime, listing: Listing, settings: Settings) -> Done:
    with _bar(len(steps(settings.public_url))) as bar:

        def told(one: Touched) -> None:
            bar.counts(one)
            listing.tell(one)

        return await daily.run(now, told, bar.begins, dry=listing.is_dry)


class Listing:
    """What is printed: of a dry run each row as it is found, and how many of each table; one JSON object."""

    def __init__(self, day: date, *, is_dry: bool, as_json: bool) -> None:
        self.is_dry, self._as_json, self._is_first = is_dry, as_json, True
        self._day = day
        if as_json:
            typer.echo(f'{{"day": "{day}", "dryRun": {json.dumps(is_dry)}, "rows": [', nl=False)

    def tell(self, one: Touched) -> None:
        """Prints a row: its rule, table, id and columns; never a value."""
        if self._as_json:
            row = {"rule": one.rule, "table": one.table, "id": str(one.id), "fields": list(one.fields)}
            typer.echo(f"{'' if self._is_first else ','}\n{json.dumps(row)}", nl=False)
            self._is_first = False
        elif self.is_dry:
            what = ", ".join(one.fields) or "the row"
            typer.echo(f"{one.rule} {one.table} {one.id}: {what}")

    def end(self, done: Done) -> None:
        """Prints the sums."""
        counts = [{"rule": rule, "table": table, "rows": rows} for (rule, table), rows in done.counts.items()]
        if self._as_json:
            dropped = [asdict(one) for one in done.dropped]
            typer.echo(f'\n], "counts": {json.dumps(counts)}, "dropped": {json.dumps(dropped)}}}')
            return
        verb = "would be changed" if self.is_dry else "changed"
        for one in counts:
            typer.echo(f"{one['rule']} {one['table']}: {one['rows']} rows {verb}")
        for chain in done.dropped:
            dropped_verb = "would be dropped" if self.is_dry else "dropped"
            typer.echo(f"{chain.chain}: {chain.records} records in {chain.seals} seals {dropped_verb}")
            for number in chain.left:
                typer.echo(f"{chain.chain}: seal {number} does not fit its records, which are left")
        if not done.rows:
            typer.echo(f"nothing is due on {self._day}")


class Bar:
    """How far a run is, to a person who waits: which step, and how many rows so far."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._started = progress, time.monotonic()
        self._task = progress.add_task("", total=total, rows=0)
        self._rows, self._is_begun = 0, False

    def begins(self, step: Step) -> None:
        """A step begins: those before it are done."""
        self._progress.update(
            self._task, advance=int(self._is_begun), description=f"{step.rule} {step.table}"
        )
        self._is_begun = True
        self._look()

    def counts(self, _: Touched) -> None:
        """A row more."""
        self._rows += 1
        if self._rows % 500 == 0:
            self._progress.update(self._task, rows=self._rows)
            self._look()

    def _look(self) -> None:
        if not self._progress.live.is_started and time.monotonic() - self._started > PATIENCE_SECONDS:
            self._progress.start()


@contextmanager
def _bar(total: int) -> Iterator[Bar]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        *(BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rows]} rows"), TimeElapsedColumn()),
    )
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    try:
        yield Bar(progress, total)
    finally:
        progress.stop()
