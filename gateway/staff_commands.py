"""`gateway designate` and `gateway employee …`: who works with the register, said on the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from .errors import StartError
from .periods import months_after
from .principal import utc_now
from .staff import (
    FIRST_ROLE,
    LEFT,
    Person,
    add_employee,
    deactivate_employee,
    designate_first,
    list_employees,
)
from .writes.designations import LONGEST_MONTHS, USUAL_MONTHS

# Where nobody looks at a terminal, no line is broken for its width.
WIDE = 250

employee_commands = typer.Typer(help="Who works with the register.", no_args_is_help=True)

Email = Annotated[str, typer.Option("--email", help="The employee's work address.")]
Name = Annotated[str | None, typer.Option("--name", help="The employee's name, where they are new.")]
Subject = Annotated[
    str | None, typer.Option("--subject", help="`sub` in the tokens of the company's identity provider.")
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Use the running demo of this data directory.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _owner_url(data_dir: Path | None) -> str:
    from .issue import demo_place, environment_place

    return (environment_place() if data_dir is None else demo_place(data_dir))[1]


def designate(
    email: Email,
    reason: Annotated[str, typer.Option(help="Why they need the role.")],
    name: Name = None,
    subject: Subject = None,
    role: Annotated[str, typer.Option(help="The first administrator's role.")] = FIRST_ROLE,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The last day (UTC), within 12 months; by default 6 months."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Designate the first administrator, while there is none; administrators designate everybody else."""
    if role.replace("-", "_") != FIRST_ROLE:
        raise StartError(f"`--role` takes {FIRST_ROLE}: administrators designate others")
    now = utc_now()
    ends = months_after(now, USUAL_MONTHS) if until is None else until.replace(tzinfo=UTC) + timedelta(days=1)
    if not now < ends <= months_after(now, LONGEST_MONTHS):
        raise StartError(f"`--until` is a day from today on, at most {LONGEST_MONTHS} months ahead")
    asyncio.run(designate_first(_owner_url(data_dir), Person(email, name, subject), reason, now, ends))
    if as_json:
        typer.echo(json.dumps({"role": FIRST_ROLE, "validTo": ends.isoformat()}))
    else:
        typer.echo(f"designated as {FIRST_ROLE} until {ends:%Y-%m-%d %H:%M} UTC")


@employee_commands.command("add")
def employee_add(email: Email, name: Name = None, subject: Subject = None, data_dir: DataDir = None) -> None:
    """Add an employee, who may do nothing before they are designated, or change one of this address."""
    asyncio.run(add_employee(_owner_url(data_dir), Person(email, name, subject), utc_now()))
    typer.echo("the register knows the employee")


@employee_commands.command("deactivate")
def employee_deactivate(
    email: Email,
    reason: Annotated[str, typer.Option(help="Why their designations end.")] = LEFT,
    data_dir: DataDir = None,
) -> None:
    """End everything an employee may do, at once, and every designation of theirs."""
    asyncio.run(deactivate_employee(_owner_url(data_dir), email, reason, utc_now()))
    typer.echo("the employee may do nothing any more")


@employee_commands.command("list")
def employee_list(
    ending: Annotated[
        int | None, typer.Option(min=0, help="Only designations that end within so many days.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List employees and what they are designated for; `--ending 30` is the recertification list."""
    rows = asyncio.run(list_employees(_owner_url(data_dir), utc_now(), ending))
    if as_json:
        typer.echo(json.dumps(rows, default=datetime.isoformat, indent=2))
    else:
        _print(rows)


def _print(rows: Sequence[dict[str, Any]]) -> None:
    table = Table()
    for name in ("employee", "active", "role", "reason", "designated by", "since", "until"):
        table.add_column(name, overflow="fold")
    for row in rows:
        times = (f"{row[name]:%Y-%m-%d}" if row[name] else "" for name in ("valid_from", "valid_to"))
        active = "yes" if row["active"] else "no"
        named = (row[name] or "" for name in ("role", "reason", "designated_by"))
        table.add_row(row["work_email"], active, *named, *times)
    console = Console()
    (console if console.is_terminal else Console(width=WIDE)).print(table)
