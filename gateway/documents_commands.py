"""`gateway documents …`: whether what client applications send would be answered, before it is deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from schema.model import load_model

from .config import Settings
from .documents.applications import Application, check_for, read_applications
from .documents.check import Checked, Report, loose
from .documents.check import check as check_documents
from .documents.judged import Actor, Rules
from .documents.manifests import read_manifest
from .errors import StartError
from .policy import ROLES, Policy, load_policy

documents_commands = typer.Typer(help="The documents of client applications.", no_args_is_help=True)
# Planning asks no database, and needs none to be named.
NO_DATABASE = SecretStr("postgresql://")


@documents_commands.callback()
def _group() -> None:
    """The documents of client applications."""


@documents_commands.command()
def check(
    manifests: Annotated[
        list[Path] | None, typer.Argument(help="Manifests to check for `--as`, instead of a folder.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="The documents; by default GATEWAY_DOCUMENTS_FOLDER.")
    ] = None,
    role: Annotated[str | None, typer.Option("--as", help="The role that sends the manifests given.")] = None,
    purpose: Annotated[str | None, typer.Option(help="The purpose it sends them for.")] = None,
    recipient: Annotated[str | None, typer.Option(help="The partner that sends them.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Try these policy files, and say what they change.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Plan every document for the roles that send it; exit status 1 where something would be refused."""
    settings, model = Settings.read(database_url=NO_DATABASE), load_model()
    present = Rules(load_policy(settings.policy_folder, model), model, settings)
    tried = present if policy is None else Rules(load_policy(policy, model), model, settings)
    if manifests:
        actor = _actor(role, purpose, recipient, tried.policy)
        applications = tuple(loose(path, read_manifest(path), actor) for path in manifests)
    else:
        _without_actor(role, purpose, recipient)
        applications = _of_folder(folder or settings.documents_folder, tried.policy)
    report = check_documents(applications, tried, None if policy is None else present)
    typer.echo(json.dumps(report.as_dict(), indent=2) if as_json else _written(report))
    if report.refused:
        raise typer.Exit(1)


def _actor(role: str | None, purpose: str | None, recipient: str | None, policy: Policy) -> Actor:
    named = (role or "").replace("-", "_")
    if named not in ROLES:
        raise StartError(f"`--as` takes one of {', '.join(ROLES)}")
    check_for(purpose, recipient, named, policy, "`--purpose` or `--recipient`")
    return Actor(named, purpose, recipient)


def _without_actor(*given: str | None) -> None:
    if any(given):
        raise StartError("`--as`, `--purpose` and `--recipient` go with manifests; a folder says its own")


def _of_folder(folder: Path | None, policy: Policy) -> tuple[Application, ...]:
    if folder is None:
        raise StartError("give manifests, `--folder` or GATEWAY_DOCUMENTS_FOLDER")
    return read_applications(folder, policy)


def _written(report: Report) -> str:
    lines = [line for one in report.documents for line in _lines(one)]
    tried = f"policy {report.policy}" + (f" instead of {report.before}" if report.before else "")
    return "\n".join([*lines, f"{tried}: {len(report.documents)} checks, {len(report.refused)} refused"])


def _lines(one: Checked) -> list[str]:
    actor = one.actor
    who = f"as {actor.role}" + (f" ({actor.recipient})" if actor.recipient else "")
    who += f" for {actor.purpose}" if actor.purpose else ""
    place = f"{one.application.manifest.name}: `{one.entry.name}` ({one.entry.id}) {who}: "
    judgement = one.judgement
    lines = [
        f"{place}{'NEW ' if one.is_new(problem) else ''}{problem.code}: {problem.message}"
        + (f" in {problem.extensions['use']}" if "use" in problem.extensions else "")
        + (f" (line {problem.location.line})" if problem.location else "")
        for problem in judgement.problems
    ]
    if judgement.withheld:
        lines.append(f"{place}note: withheld on some rows: {', '.join(judgement.withheld)}")
    return [*lines, *(f"{place}note: {note}" for note in judgement.notes)]
