"""The policy files: whatever is wrong with them stops the start, and every line of them matters."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from gateway.app import app_of
from gateway.cache import Cache
from gateway.database import Database
from gateway.errors import PolicyError
from gateway.grants import AnyOperator, ExactMatch, Grants, Line, Refused, Rows, Use, make_grants
from gateway.introspection import SchemaViews
from gateway.local import Local
from gateway.policy import ROLES, default_folder, load_policy
from gateway.principal import Principals
from gateway.processing import make_record
from gateway.row_rules import is_rule, speaks_of
from schema.fields import Scalar, ValueObject
from schema.model import load_model
from tests import test_matrix, test_matrix_writes
from tests.naive_rules import PURPOSES, Rights
from tests.world import World

MODEL = load_model()
WRITING = {Use.CREATE, Use.UPDATE}
MUTATIONS_OVER_HTTP = 24
READ_AS_THE_MATRIX_SAYS = (
    test_matrix.test_each_role_reads_exactly_the_cells_the_matrix_grants_it_on_exactly_its_rows
)

REFUSED_AS_THE_MATRIX_SAYS = (
    test_matrix_writes.test_a_change_is_refused_by_exactly_the_coordinates_the_matrix_refuses
)
CHANGED_AS_THE_MATRIX_SAYS = test_matrix_writes.test_a_change_that_the_matrix_grants_passes_the_gate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the policy that a test may spoil."""
    copy = tmp_path / "policies"
    shutil.copytree(default_folder(), copy)
    return copy


def edit(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    path.write_text(changed, encoding="utf-8")


GOOD = 'p, support, Customer, read, all, any, "support follows what happened to an order"'
SPOILED: dict[str, tuple[str, str]] = {
    "unknown coordinate": (GOOD.replace("Customer", "Costumer"), "the schema has no coordinate `Costumer`"),
    "unknown field": (GOOD.replace("Customer,", "Customer.shoeSize,"), "no coordinate `Customer.shoeSize`"),
    "unknown role": (GOOD.replace("support,", "suport,"), "unknown role `suport`"),
    "unknown use": (GOOD.replace("read", "reed"), "unknown use `reed`"),
    "unknown row rule": (GOOD.replace("all", "al"), "unknown row rule `al`"),
    "a rule that says nothing of the type": (GOOD.replace("all", "assigned"), "says nothing of `Customer`"),
    "unknown purpose": (GOOD.replace("any", "curiosity"), "unknown purpose `curiosity`"),
    "a wildcard": (GOOD.replace("Customer", "*"), "no coordinate `*`"),
    "a trailing comment": (GOOD + " # why", "the line is not readable as CSV"),
    "a comment line": ("# " + GOOD, "a line is `p, role, coordinate"),
    "no reason": (GOOD.rpartition(",")[0], "a line is `p, role, coordinate"),
    "an empty reason": (GOOD.rpartition(",")[0] + ', ""', "a value is empty"),
    "a field too many": (GOOD + ", deny", "a line is `p, role, coordinate"),
    "another kind of line": (GOOD.replace("p,", "g,", 1), "a line is `p, role, coordinate"),
    "an operation's use on a field": (GOOD.replace("read", "execute"), "is no use of `Customer`"),
    "an unclosed quote": (GOOD + '"', "the line is not readable as CSV"),
    "a doubled line": (GOOD + "\n" + GOOD, "the same grant stands at"),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_spoiled_line_stops_the_load_naming_file_and_line(folder: Path, fault: str) -> None:
    line, message = SPOILED[fault]
    path = folder / "support.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    place = next(number for number, text in enumerate(lines) if text.startswith("p, support, Customer, read"))
    lines[place : place + 1] = line.split("\n")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_policy(folder, MODEL)
    text = str(caught.value)
    assert message in text or "the lines are not sorted" in text
    assert text.startswith(f"{path}:")


WRITES: dict[str, tuple[str, str]] = {
    "rows of changes to read": ("Customer, read, new", "`new` speaks of changes, and `read` is none"),
    "rows of changes to mask": (
        "Delivery.recipientPhone, mask, undispatched",
        "`undispatched` speaks of changes, and `mask` is none",
    ),
    "rows of changes to filter by": (
        "Return.refundIban, filter, unrefunded",
        "`unrefunded` speaks of changes, and `filter` is none",
    ),
    "open rows to read": (
        "Delivery.trackingCode, read, assigned_open",
        "`assigned_open` speaks of changes, and `read` is none",
    ),
    "a change of a whole type": ("Customer, update, all", "`update` is a use of fields, not of `Customer`"),
    "a whole type made": ("Customer, create, new", "`create` is a use of fields, not of `Customer`"),
    "rows that are made, to update": (
        "Customer.phone, update, new",
        "`new` means rows that are made, not `update`",
    ),
    "rows of another type's changes": (
        "Customer.phone, update, undispatched",
        "`undispatched` says nothing of `Customer`",
    ),
    "rows of an operation": (
        "Mutation.updateCustomer, execute, own",
        "an operation is executed on `every` row",
    ),
    "an unknown mutation": (
        "Mutation.dropCustomer, execute, every",
        "no coordinate `Mutation.dropCustomer`",
    ),
    "a field's use on an operation": (
        "Mutation.updateCustomer, update, every",
        "`update` is no use of `Mutation.updateCustomer`",
    ),
    "a field's use on an input": ("UpdateCustomerInput.phone, update, all", "no coordinate `UpdateCustomer"),
}


@pytest.mark.parametrize("fault", WRITES)
def test_a_line_on_writing_that_means_nothing_stops_the_load(folder: Path, fault: str) -> None:
    grant, message = WRITES[fault]
    path = folder / "support.csv"
    lines = [*path.read_text(encoding="utf-8").splitlines(), f'p, support, {grant}, any, "for a test"']
    lines.sort(key=lambda line: line.split(", ")[:6])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(PolicyError, match=re.escape(message)):
        load_policy(folder, MODEL)


def test_a_mask_on_a_field_without_one_is_refused(folder: Path) -> None:
    edit(folder / "support.csv", lambda text: text.replace("Customer.status, read", "Customer.status, mask"))
    with pytest.raises(PolicyError, match=r"support.csv:\d+: `Customer.status` has no mask"):
        load_policy(folder, MODEL)


def test_lines_out_of_order_are_refused(folder: Path) -> None:
    edit(folder / "support.csv", lambda text: "\n".join(reversed(text.splitlines())) + "\n")
    with pytest.raises(PolicyError, match=r"support.csv:\d+: the lines are not sorted"):
        load_policy(folder, MODEL)


@pytest.mark.parametrize(
    "name", ["support.csv", "purposes.yaml", "recipients.yaml", "notice.yaml", "retention.yaml"]
)
@pytest.mark.parametrize("how", ["empty", "missing"])
def test_an_empty_or_missing_file_is_refused(folder: Path, name: str, how: str) -> None:
    if how == "empty":
        (folder / name).write_text("")
    else:
        (folder / name).unlink()
    with pytest.raises(PolicyError, match=r"is empty|missing|has no policy line"):
        load_policy(folder, MODEL)


def test_a_role_without_lines_is_refused(folder: Path) -> None:
    (folder / "analyst.csv").unlink()
    with pytest.raises(PolicyError, match="role `analyst` has no policy line"):
        load_policy(folder, MODEL)


def test_a_field_that_no_line_lists_is_refused(folder: Path) -> None:
    for path in folder.glob("*.csv"):
        kept = [line for line in path.read_text().splitlines() if "Customer.unsubscribeUrl" not in line]
        path.write_text("\n".join(kept) + "\n")
    with pytest.raises(PolicyError, match=r"`Customer\.unsubscribeUrl` is .* in no policy line"):
        load_policy(folder, MODEL)


def test_a_type_without_its_id_on_the_same_rows_is_refused(folder: Path) -> None:
    kept = [line for line in (folder / "carrier.csv").read_text().splitlines() if "Delivery.id" not in line]
    (folder / "carrier.csv").write_text("\n".join(kept) + "\n")
    with pytest.raises(PolicyError, match=r"role `carrier` reads `Delivery` without `Delivery.id`"):
        load_policy(folder, MODEL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("r.purpose == p.purpose", "true"),
        ("r.sub == p.sub && ", "false && "),
        ("[matchers]", "[mutchers]"),
        ("some(where (p.eft == allow))", "!some(where (p.eft == deny))"),
    ],
)
def test_a_model_that_decides_otherwise_is_refused(folder: Path, before: str, after: str) -> None:
    edit(folder / "model.conf", lambda text: text.replace(before, after))
    with pytest.raises(PolicyError, match=r"model\.conf"):
        load_policy(folder, MODEL)


def test_the_version_changes_with_every_file(folder: Path) -> None:
    versions = {load_policy(folder, MODEL).version}
    edit(folder / "notice.yaml", lambda text: text.replace("2026-1", "2026-2"))
    versions.add(load_policy(folder, MODEL).version)
    edit(folder / "support.csv", lambda text: text.replace("helps", "aids").replace("follows", "sees"))
    versions.add(load_policy(folder, MODEL).version)
    assert len(versions) == 3


# ---------------------------------------------------------------- every line matters


def disagreements(role: str, lines: Iterable[Line]) -> bool:
    """Whether a role's decisions differ anywhere from those the matrix asks for."""
    for purpose, grants in make_grants(role, lines, (None, *PURPOSES)).items():
        rights = Rights(role, purpose)
        effective = grants if rights.purpose == purpose else None
        if effective is not None and _differs(effective, rights):
            return True
    return False


def _differs(grants: Grants, rights: Rights) -> bool:
    for name, entity in MODEL.entities.items():
        if _rules(grants.type_access(name)) != rights.rules(name, "R"):
            return True
        for field in entity.fields.values():
            if _held(grants, field.coordinate) != (
                rights.rules(field.coordinate, "R"),
                rights.rules(field.coordinate, "M"),
            ):
                return True
            if any(
                _rules(grants.writing(field.coordinate, use)) != rights.rules(field.coordinate, letter)
                for use, letter in ((Use.CREATE, "C"), (Use.UPDATE, "U"))
            ):
                return True
            if isinstance(field.source, Scalar | ValueObject) and _compares(grants, field.coordinate) != (
                rights.may_filter(name, field.name, {"isNull"}),
                rights.may_filter(name, field.name, {"eq"}),
            ):
                return True
    executed = [name for name in MODEL.coordinates() if name.partition(".")[0] not in MODEL.entities]
    return any(isinstance(grants.execution(name), Rows) != bool(rights.rules(name, "X")) for name in executed)


def _rules(access: Rows | Refused) -> set[str]:
    return set(access.rules) if isinstance(access, Rows) else set()


def _held(grants: Grants, coordinate: str) -> tuple[set[str], set[str]]:
    return set(grants._rules(coordinate, Use.READ)), set(grants._rules(coordinate, Use.MASK))


def _compares(grants: Grants, coordinate: str) -> tuple[bool, bool]:
    decision = grants.comparison(coordinate)
    return isinstance(decision, AnyOperator), isinstance(decision, AnyOperator | ExactMatch)


LINES = sorted(load_policy(default_folder(), MODEL).lines)


def flips(line: Line) -> list[Line | None]:
    """What a line may be flipped to: nothing, other rows, another purpose, another use."""
    entity = MODEL.entities.get(line.coordinate.partition(".")[0])
    found: list[Line | None] = [None]
    if entity is None:
        return [*found, replace(line, purpose="returns" if line.purpose == "any" else "any")]
    tables = entity.table.name
    rules = [rule for rule in ("every", "all", "linked", "own", "open", "assigned") if is_rule(rule)]
    if line.use in WRITING:
        rules += ["new", "undispatched", "unrefunded", "assigned_open"]
        found += [replace(line, use=use) for use in WRITING if use is not line.use]
    found += [replace(line, rows=rule) for rule in rules if rule != line.rows and speaks_of(rule, tables)]
    found.append(replace(line, purpose="customer-service" if line.purpose == "any" else "any"))
    if line.use is not Use.READ:
        found.append(replace(line, use=Use.READ))
    return found


def test_the_policy_as_it_stands_decides_as_the_matrix_says() -> None:
    for role in ROLES:
        assert not disagreements(role, [line for line in LINES if line.role == role]), role


# A right to look for exact values adds nothing where the value is read on the same rows: it is in the matrix
# beside `read`, and the comparison of the policy with the matrix, line by line, holds it.
REDUNDANT = {Use.FILTER}


@pytest.mark.parametrize("role", ROLES)
def test_flipping_any_single_line_changes_a_decision_the_matrix_asks_for(role: str) -> None:
    of_role = [line for line in LINES if line.role == role]
    for line in of_role:
        for flipped in flips(line):
            others = [other for other in of_role if other != line]
            changed = others if flipped is None or flipped in others else [*others, flipped]
            if line.use not in REDUNDANT:
                assert disagreements(role, changed), (line, flipped)


def with_policy(world: World, lines: Iterable[Line]) -> World:
    """The same register behind a gateway whose policy has other lines."""
    before = world.gateway.policy
    by_role = {
        role: make_grants(role, [line for line in lines if line.role == role], (None, *before.purposes))
        for role in ROLES
    }
    changed = frozenset(lines)
    grants = {None: before._grants[None], **by_role}
    policy = replace(before, version="mutated", lines=changed, _grants=grants)
    views = SchemaViews(world.gateway.model, policy)
    settings = world.gateway.settings
    database = Database(settings)
    gateway = replace(
        world.gateway,
        policy=policy,
        local=Local(policy, views, make_record(policy, world.gateway.model)),
        plans=Cache(4000),
        database=database,
        principals=Principals(settings, world.key, database),
    )
    return replace(world, gateway=gateway, client=TestClient(app_of(gateway)))


@pytest.mark.slow
def test_a_flipped_line_makes_the_matrix_test_fail_over_http(world: World) -> None:
    names = {asker.role: name for name, asker in reversed(world.askers.items()) if name != "one-order"}
    reading = [line for line in LINES if line.use not in {*WRITING, Use.EXECUTE}]
    chosen = random.Random(1).sample(reading, 200)
    tried = 0
    for line in chosen:
        if line.use in REDUNDANT or tried == MUTATIONS_OVER_HTTP:
            continue
        tried += 1
        mutated = with_policy(world, [other for other in LINES if other != line])
        with pytest.raises((AssertionError, KeyError)), mutated.client:
            READ_AS_THE_MATRIX_SAYS(mutated, names[line.role])
    assert tried == MUTATIONS_OVER_HTTP


def callers(line: Line) -> list[str]:
    """The mutations that a line on writing decides about, of those its role may call."""
    if line.use is Use.EXECUTE:
        root, _, name = line.coordinate.partition(".")
        return [name] if root == "Mutation" else []
    return [
        name
        for name, root in MODEL.mutations.items()
        if ("execute", f"Mutation.{name}", line.role) in CALLED
        for of in root.inputs()
        if of.writes.value == line.use
        and line.coordinate in {field.coordinate for field in of.fields.values()}
    ]


CALLED = {(line.use, line.coordinate, line.role) for line in LINES}


def disagrees_over_http(world: World, mutation: str) -> bool:
    try:
        REFUSED_AS_THE_MATRIX_SAYS(world, mutation)
        CHANGED_AS_THE_MATRIX_SAYS(world, mutation)
    except AssertionError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("use", sorted({*WRITING, Use.EXECUTE}))
def test_a_line_on_writing_taken_away_makes_the_matrix_test_fail_over_http(writable: World, use: Use) -> None:
    lines = [line for line in LINES if line.use is use and callers(line)]
    for line in random.Random(1).sample(lines, min(8, len(lines))):
        mutated = with_policy(writable, [other for other in LINES if other != line])
        with mutated.client:
            assert any(disagrees_over_http(mutated, name) for name in callers(line)), line
