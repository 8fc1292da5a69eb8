"""The command line: `gateway demo | serve | migrate | token | mail | designate | employee | …`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from schema.model import load_model

from .audit_commands import audit_commands
from .config import Settings
from .documents_commands import documents_commands
from .errors import StartError
from .introspection import SchemaViews
from .logs import configure, place_of
from .policy import ROLES, default_folder, load_policy
from .processing import make_record
from .processing.rendered import Format, rendered
from .retention_commands import retention_commands
from .staff_commands import designate, employee_commands
from .subject_commands import subject_commands
from .subject_copy_commands import export, export_form

cli = typer.Typer(
    help="A GraphQL gateway with field-level access control over a store's customer register.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
policy_commands = typer.Typer(help="Checks the policy, and says what it comes to.", no_args_is_help=True)
cli.add_typer(policy_commands, name="policy")
cli.add_typer(audit_commands, name="audit")
cli.add_typer(employee_commands, name="employee")
cli.add_typer(documents_commands, name="documents")
cli.add_typer(subject_commands, name="subject")
subject_commands.command()(export)
subject_commands.command("schema")(export_form)
cli.add_typer(retention_commands, name="retention")
cli.command()(designate)

Folder = Annotated[
    Path | None, typer.Option("--folder", help="The policy files; by default those that ship.")
]


def main() -> None:
    """Runs a command. What stops it is one line on standard error, and exit status 1."""
    configure("warning", "auto")
    try:
        with _terminated_like_interrupted():
            cli()
    except StartError as error:
        _fail(str(error))
    except Exception as error:  # a traceback would quote values
        _fail(f"a fault of the gateway: {type(error).__name__} at {place_of(error)}")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(message: str) -> NoReturn:
    print(f"gateway: {message}", file=sys.stderr)  # noqa: T201  # the one line a command fails with
    sys.exit(1)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does, so that what it started is stopped."""

    def interrupt(_: int, __: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@cli.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen on 127.0.0.1; 0: any.")] = 8000,
    customers: Annotated[int, typer.Option(min=30, help="How many customers to make.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same data.")] = 1,
    data_dir: Annotated[Path | None, typer.Option(help="Where the data is kept between starts.")] = None,
    credentials: Annotated[Path | None, typer.Option(help="Write the principals to this JSON file.")] = None,
) -> None:
    """Start an embedded PostgreSQL, migrate, seed, print principals with tokens, and serve."""
    from .demo.embedded import default_data_dir
    from .demo.run import Demo, run_demo

    run_demo(Demo(port, customers, seed, data_dir or default_data_dir(), credentials), Console())


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="How many processes answer.")] = 1,
) -> None:
    """Serve the database of GATEWAY_DATABASE_URL."""
    from .app import create_gateway
    from .append_only import refuse_who_may_change_records
    from .demo_secrets import refuse_demo_database, refuse_demo_keys
    from .migrate import current_is_head
    from .server import serve as run

    settings = Settings.read()
    configure(settings.log_level, settings.log_format)
    refuse_demo_keys(settings)
    create_gateway(settings)
    url = settings.database_url.get_secret_value()
    if not current_is_head(url):
        raise StartError("the database has an older schema: run `gateway migrate`")
    refuse_demo_database(url)
    refuse_who_may_change_records(url)
    run("gateway.app:from_environment", settings, host, port, workers)


@cli.command()
def migrate(
    role: Annotated[str, typer.Option(help="The login role `gateway serve` uses.")] = "gateway",
    keeper: Annotated[str, typer.Option(help="That of `audit drop`, `retention run`.")] = "gateway_keeper",
) -> None:
    """Bring the database of GATEWAY_OWNER_DATABASE_URL (or GATEWAY_DATABASE_URL) to the newest schema."""
    from .migrate import migrate as upgrade

    settings = Settings.read()
    upgrade(settings.owner_url, role=role, keeper=keeper)
    Console().print("the database has the newest schema")


@cli.command()
def token(
    as_role: Annotated[str, typer.Option("--as", help="The role to act in.")] = "",
    who: Annotated[
        str | None,
        typer.Option("--id", help="A customer's number, an employee's work e-mail, or a carrier's name."),
    ] = None,
    order: Annotated[str | None, typer.Option(help="Limit a customer's token to this order number.")] = None,
    minutes: Annotated[int, typer.Option(min=1, help="How long it holds; partner tokens hold 90 days.")] = 60,
    data_dir: Annotated[
        Path | None, typer.Option(help="Use the running demo of this data directory.")
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Make GATEWAY_SIGNING_KEY_FILE first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a token: it says who, the database says what."""
    from .issue import Wanted, demo_place, environment_place, issue, make_key

    place = environment_place if data_dir is None else lambda: demo_place(data_dir)
    settings, owner_url = place()
    if new_key:
        make_key(settings)
        if not as_role:
            return
    if as_role not in ROLES or as_role == "anonymous":
        raise StartError(f"`--as` takes one of {', '.join(role for role in ROLES if role != 'anonymous')}")
    wanted = Wanted(as_role, who, order, timedelta(minutes=minutes))
    made = asyncio.run(issue(wanted, settings, owner_url))
    typer.echo(
        json.dumps({"role": as_role, "headers": {"Authorization": f"Bearer {made}"}}) if as_json else made
    )


@cli.command()
def mail(
    data_dir: Annotated[
        Path | None, typer.Option(help="Use the running demo of this data directory.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the mail that waits to be sent, or that could not be; without a mail server all of it waits."""
    from .issue import demo_place
    from .mail.listing import as_json as written
    from .mail.listing import print_mail, waiting_mail

    settings = Settings.read() if data_dir is None else demo_place(data_dir)[0]
    rows = asyncio.run(waiting_mail(settings))
    if as_json:
        typer.echo(written(rows))
    else:
        print_mail(rows, Console())


@cli.command()
def schema(
    role: Annotated[str | None, typer.Option("--as", help="Only what this role holds a grant for.")] = None,
    folder: Folder = None,
) -> None:
    """Print the schema, or what of it a role sees."""
    model = load_model()
    if role is None:
        typer.echo(model.sdl(), nl=False)
        return
    named = role.replace("-", "_")
    if named not in ROLES:
        raise StartError(f"`--as` takes one of {', '.join(ROLES)}")
    views = SchemaViews(model, load_policy(folder or default_folder(), model))
    typer.echo(views.sdl(named), nl=False)


@policy_commands.command("check")
def policy_check(
    folder: Folder = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Check the policy files against the schema without starting; exit status 1 names file and line."""
    found = load_policy(folder or default_folder(), load_model())
    if as_json:
        typer.echo(json.dumps({"version": found.version, "lines": len(found.lines), "roles": list(ROLES)}))
    else:
        typer.echo(f"policy {found.version}: {len(found.lines)} lines for {len(ROLES)} roles")


@policy_commands.command("record")
def policy_record(
    form: Annotated[Format, typer.Option("--format", help="What to write it as.")] = Format.MARKDOWN,
    output: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    folder: Folder = None,
) -> None:
    """Write the record of processing activities (GDPR Article 30) that the policy and the tables come to."""
    model = load_model()
    text = rendered(make_record(load_policy(folder or default_folder(), model), model), form)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StartError(f"`--output`: the file cannot be written: {error.strerror}") from error
