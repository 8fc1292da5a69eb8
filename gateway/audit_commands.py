"""`gateway audit …`: whether the records are what was sealed, told outside, and dropped in their time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .audit.anchors import Anchoring, NotTold, read_anchors
from .audit.drop import Dropped
from .audit.drop import drop as drop_batches
from .audit.export import export, private_file
from .audit.findings import Report, What
from .audit.place import checked_place
from .audit.source import connected, snapshot
from .audit.verify import Against, expected_rows
from .audit.verify import verify as verify_chains
from .config import Settings
from .database import DATABASE_ERRORS, Database, DatabaseTimeout
from .errors import StartError
from .issue import demo_place, environment_place
from .policy_files import load_periods
from .principal import utc_now

# What takes less shows no bar.
PATIENCE_SECONDS = 2

audit_commands = typer.Typer(help="The seals over what is recorded.", no_args_is_help=True)

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Use the running demo of this data directory.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def place_settings(data_dir: Path | None) -> Settings:
    """The settings of the environment, or of a running demo."""
    return (environment_place() if data_dir is None else demo_place(data_dir))[0]


def _place(place: str, option: str) -> str:
    try:
        return checked_place(place)
    except ValueError as error:
        raise StartError(f"`{option}`: {error}") from error


@audit_commands.command()
def verify(
    anchor: Annotated[
        str | None, typer.Option(help="Compare with the seals anchored there: a file or a URL.")
    ] = None,
    export_to: Annotated[
        Path | None, typer.Option("--export", help="Write the records and seals to this file, as JSON lines.")
    ] = None,
    max_unsealed_minutes: Annotated[
        int, typer.Option(min=1, help="A record this old that is not sealed is a finding.")
    ] = 10,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find every changed, missing or inserted record; exit status 1 where there is one."""
    settings = place_settings(data_dir)
    longest, place = timedelta(minutes=max_unsealed_minutes), anchor and _place(anchor, "--anchor")
    report = asyncio.run(_verified(settings, place, longest, export_to))
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        _print(report)
    if not report.is_whole:
        raise typer.Exit(1)


async def _verified(
    settings: Settings, anchor: str | None, longest_unsealed: timedelta, export_to: Path | None
) -> Report:
    anchored = {} if anchor is None else await read_anchors(anchor)
    against = Against(load_periods(settings.policy_folder), anchored, utc_now(), longest_unsealed)
    async with snapshot(settings.database_url.get_secret_value()) as connection:
        with _bar(await expected_rows(connection)) as progress:
            report = await verify_chains(connection, against, progress)
        if export_to is not None:
            with private_file(export_to) as file:
                await export(connection, file)
    return report


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """Shows how far it is to a person who waits; the report itself goes to standard output."""
    console = Console(stderr=True)
    columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    task, started = bar.add_task("verifying", total=total), time.monotonic()

    def progress(rows: int) -> None:
        if not bar.live.is_started and time.monotonic() - started > PATIENCE_SECONDS:
            bar.start()
        bar.update(task, advance=rows)

    try:
        yield progress
    finally:
        bar.stop()


def _print(report: Report) -> None:
    for finding in report.findings:
        typer.echo(str(finding))
    if (total := report.counts.total()) > len(report.findings):
        typer.echo(f"and {total - len(report.findings)} more")
    for chain in report.chains:
        typer.echo(str(chain))
    typer.echo("nothing was changed" if report.is_whole else f"{total} findings: {_meaning(report)}")


def _meaning(report: Report) -> str:
    if set(report.counts) == {What.ROW_UNSEALED.name}:
        return "the records are not sealed in time"
    return "the records were changed"


@audit_commands.command()
def anchor(
    to: Annotated[str, typer.Option("--to", help="A file, which is appended to, or a URL.")],
    data_dir: DataDir = None,
) -> None:
    """Tell the newest seals to a place outside the database."""
    count = asyncio.run(_anchored(place_settings(data_dir), _place(to, "--to")))
    typer.echo(f"{count} seals anchored")


async def _anchored(settings: Settings, place: str) -> int:
    database = Database(settings)
    try:
        return await Anchoring(database, place).anchor()
    except NotTold as error:
        raise StartError(f"`--to` does not take the seals: {error}") from error
    except (*DATABASE_ERRORS, DatabaseTimeout) as error:
        raise StartError(f"the seals cannot be read: {type(error).__name__}") from error
    finally:
        await database.close()


@audit_commands.command()
def drop(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be dropped.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Drop whole sealed batches whose time is over, as the role of GATEWAY_KEEPER_DATABASE_URL."""
    settings = place_settings(data_dir)
    if settings.keeper_database_url is None:
        raise StartError("setting GATEWAY_KEEPER_DATABASE_URL: field required")
    dropped = asyncio.run(_dropped(settings, settings.keeper_database_url.get_secret_value(), dry_run))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in dropped], indent=2))
    else:
        verb = "would be dropped" if dry_run else "dropped"
        for one in dropped:
            typer.echo(f"{one.chain}: {one.records} records in {one.seals} seals {verb}")
            for number in one.left:
                typer.echo(f"{one.chain}: seal {number} does not fit its records, which are left")
    if any(one.left for one in dropped):
        raise typer.Exit(1)


async def _dropped(settings: Settings, url: str, dry_run: bool) -> list[Dropped]:
    periods = load_periods(settings.policy_folder)
    async with connected(url) as connection:
        return await drop_batches(connection, periods, utc_now(), dry_run=dry_run)
