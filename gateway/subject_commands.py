"""`gateway subject …`: a person's erasure by hand, and the replay of erasures after a restored backup."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from schema.model import load_model

from .config import Settings
from .database import DATABASE_ERRORS, Database, DatabaseTimeout
from .errors import StartError
from .issue import demo_place, environment_place
from .policy import load_policy
from .principal import SigningKey, utc_now
from .privacy.by_hand import Previewed, erase_by_hand, preview
from .privacy.ledger import read_ledger
from .privacy.ledger import replay as replay_entries
from .privacy.office import Office, open_office

subject_commands = typer.Typer(help="What people ask about their data.", no_args_is_help=True)

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Use the running demo of this data directory.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Result = TypeVar("Result")


def _settings(data_dir: Path | None) -> Settings:
    return (environment_place() if data_dir is None else demo_place(data_dir))[0]


@subject_commands.command()
def erase(
    number: Annotated[str, typer.Argument(help="The customer number.")],
    dry_run: Annotated[bool, typer.Option(help="Only say what would go, and what would stay.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Erase a person's data at once, without the days in which they can take it back; holds hold."""

    async def run(database: Database, office: Office) -> Previewed:
        step = preview if dry_run else erase_by_hand
        return await step(database, number, utc_now(), office)

    found = _run(_settings(data_dir), run)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    for coordinate in found.erased:
        typer.echo(f"{'would go' if dry_run else 'gone'}: {coordinate}")
    for one in found.retained:
        until = "until it is closed" if one["until"] is None else f"until {one['until']}"
        typer.echo(f"stays {until}: {one['coordinate']} ({one['basis']})")


@subject_commands.command()
def replay(
    ledger: Annotated[
        list[Path] | None,
        typer.Option(help="A ledger, of each machine its own; by default GATEWAY_ERASURE_LEDGER."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only count who would be erased again.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Erase again whoever is in a restored backup with their data: before `serve`; twice does no harm."""
    settings = _settings(data_dir)
    paths = ledger or ([settings.erasure_ledger] if settings.erasure_ledger else [])
    if not paths:
        raise StartError("name the ledger: `--ledger` or GATEWAY_ERASURE_LEDGER")
    entries = [entry for path in paths for entry in read_ledger(path)]
    found = _run(
        settings,
        lambda database, office: replay_entries(database, entries, utc_now(), office, dry_run=dry_run),
    )
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        verb = "would be erased" if dry_run else "erased"
        typer.echo(f"{found.erased} {verb} again, {found.known} are, {found.unknown} not in the register")


def _run(settings: Settings, step: Callable[[Database, Office], Awaitable[Result]]) -> Result:
    """What the step returns; raises `StartError` where the database does not answer."""
    office = open_office(
        settings,
        load_policy(settings.policy_folder, load_model()),
        SigningKey.load(settings.signing_key_file, settings.former_key_files),
    )

    async def run() -> Any:
        database = Database(settings)
        try:
            return await step(database, office)
        except (*DATABASE_ERRORS, DatabaseTimeout) as error:
            raise StartError(f"the database does not answer: {type(error).__name__}") from error
        finally:
            await database.close()

    found: Result = asyncio.run(run())
    return found
