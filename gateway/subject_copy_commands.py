"""`gateway subject export`: a copy of a person's data for who asks by letter, and the form of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from schema.inputs import camel
from schema.model import load_model

from .config import Settings
from .database import DATABASE_ERRORS, Database, DatabaseTimeout
from .errors import StartError
from .issue import demo_place, environment_place
from .policy import load_policy
from .principal import utc_now
from .privacy.by_letter import Letter, Versions, Written, export_by_letter
from .privacy.copy import copies_of
from .privacy.export_schema import export_schema
from .subject_commands import AsJson, DataDir

# Nobody waits for the answer but whoever runs the command.
COMMAND_TIMEOUT_SECONDS = 600


def export(
    output: Annotated[Path, typer.Option(help="The new file, which its owner alone may read.")],
    number: Annotated[str | None, typer.Option(help="The customer's number.")] = None,
    key: Annotated[str | None, typer.Option("--id", help="The customer's UUID.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a copy of a person's data to a file, as the owner of the tables; it is on the record."""
    letter = Letter(_who(number, key), output)
    settings, owner_url = environment_place() if data_dir is None else demo_place(data_dir)
    found = asyncio.run(_exported(settings, owner_url, letter))
    if as_json:
        typer.echo(json.dumps({camel(name): value for name, value in asdict(found).items()}))
    else:
        typer.echo(f"{found.bytes} bytes in {found.output}, sha256 {found.sha256}")


def export_form() -> None:
    """Print the JSON Schema of such a copy."""
    typer.echo(json.dumps(export_schema(), indent=2))


def _who(number: str | None, key: str | None) -> str | uuid.UUID:
    if (number is None) == (key is None):
        raise StartError("say whose: `--number` or `--id`")
    try:
        return number if number is not None else uuid.UUID(key or "")
    except ValueError as error:
        raise StartError("`--id` is a UUID") from error


async def _exported(settings: Settings, owner_url: str, letter: Letter) -> Written:
    model = load_model()
    policy = load_policy(settings.policy_folder, model)
    given = {"database_url": SecretStr(owner_url), "statement_timeout_seconds": COMMAND_TIMEOUT_SECONDS}
    database = Database(settings.model_copy(update=given))
    try:
        versions = Versions(policy.version, policy.notice.version)
        return await export_by_letter(database, letter, utc_now(), copies_of(policy), model, versions)
    except (*DATABASE_ERRORS, DatabaseTimeout) as error:
        raise StartError(f"the database does not answer: {type(error).__name__}") from error
    finally:
        await database.close()
