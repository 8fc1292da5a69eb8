"""The gateway and the naive twin agree: on generated operations, and on every field for everyone."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.generate import operations
from tests.naive import Entry, Expected, expected
from tests.naive_query import LISTS, SCHEMA, TO_MANY, TO_ONE
from tests.naive_rules import MATRIX, PURPOSES, Asker

EXAMPLES = {"default": 60, "thorough": 3000}

TWIN = settings(
    max_examples=EXAMPLES[os.environ.get("HYPOTHESIS_PROFILE", "default")],
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def purposes_of(role: str | None) -> list[str | None]:
    """No purpose, those that make a difference to the role's reading, and one that makes none."""
    different = {
        grant.purpose
        for (holder, _), cell in MATRIX.items()
        for grant in cell
        if holder == role and grant.use in "RMF"
    }
    return [None, *sorted(different - {None}), "security"]


def asker_of(world: Any, name: str, purpose: str | None) -> Asker:
    """A principal of the world as the twin knows it."""
    who = world.askers[name]
    ids = (who.customer_id, who.order_id, who.carrier_id)
    return Asker(who.role, *ids, purpose, who.employee_id, who.token_id)


def refusals(body: dict[str, Any]) -> list[Entry]:
    """What an answer's errors refuse; every error must be a refusal."""
    extensions = [error["extensions"] for error in body.get("errors", [])]
    return [(each["code"], each.get("coordinate"), each.get("use")) for each in extensions]


def differences(status: int, body: dict[str, Any], twin: Expected) -> list[str]:
    """In what the gateway's answer is not the twin's."""
    found, data = refusals(body), body.get("data")
    withheld = body.get("extensions", {}).get("withheld", [])
    sure_withheld = set(twin.withheld) - twin.perhaps_withheld
    same = {
        f"the status is {status}": status == 200,
        f"errors: {body.get('errors')}": twin.refused - twin.perhaps <= set(found) <= twin.refused,
        "a refusal is reported twice": len(found) == len(set(found)),
        "the data": data == twin.data,
        "the order of keys": data != twin.data or json.dumps(data) == json.dumps(twin.data),
        f"withheld: {withheld}": sure_withheld <= set(withheld) <= set(twin.withheld),
        "`withheld` is not sorted": withheld == sorted(set(withheld)),
    }
    return [difference for difference, is_same in same.items() if not is_same]


# Asking for something else writes what these show.
RECORDS = re.compile(r"accessRecords|disclosures|\bnodes?\s*\(|AccessRecord|Disclosure")


def agree_on(
    world: Any, name: str, purpose: str | None, operation: tuple[str, dict[str, Any], Any]
) -> Expected:
    """Asks the gateway and the twin the same; returns the answer they agree on."""
    document, variables, operation_name = operation
    asker = asker_of(world, name, purpose)
    if RECORDS.search(f"{document} {variables}"):
        world.forget("access_record", "disclosure", "designation", "employee")
    twin = expected(world.rows(), asker, world.now, document, variables, operation_name)
    # What is refused to the officer is on the record before the records are read.
    if "accessRecords" in document and twin.refused and asker.role == "privacy_officer":
        assume(False)
    status, body = world.ask(name, document, variables, purpose=purpose, operation_name=operation_name)
    # What costs too much is asked in `tests/test_cost.py`; the twin knows of no price.
    if [one["extensions"]["code"] for one in body.get("errors", ())] == ["TOO_COMPLEX"]:
        assume(False)
    assert differences(status, body, twin) == [], (
        f"{name} for {purpose} asks\n{document}\nwith {json.dumps(variables)}\n"
        f"the gateway says {json.dumps(body)}\nthe twin says {json.dumps(twin.data)}\n"
        f"refused {sorted(map(str, twin.refused))}, perhaps {sorted(map(str, twin.perhaps))}\n"
        f"withheld {twin.withheld}, perhaps {sorted(twin.perhaps_withheld)}"
    )
    return twin


def test_the_gateway_gives_the_answer_of_the_naive_twin(world: Any) -> None:
    # The world is no argument of the generated test: Hypothesis prints arguments, and this one is megabytes.
    @TWIN
    @given(data=st.data())
    def agrees(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(world.askers)), label="who asks")
        purpose = data.draw(st.sampled_from(purposes_of(world.askers[name].role)), label="for which purpose")
        operation = data.draw(operations(world, asker_of(world, name, purpose)), label="operation")
        agree_on(world, name, purpose, operation)

    agrees()


def every_value(type_name: str) -> str:
    """Every field of an entity but its connections, as they stand in a selection."""
    fields = []
    for name in SCHEMA.type_map[type_name].fields:
        if (type_name, name) in TO_ONE:
            fields.append(f"{name} {{ id }}")
        elif name in ("total", "unitPrice", "refundAmount"):
            fields.append(f"{name} {{ amount currency }}")
        elif name == "billingAddress":
            fields.append(f"{name} {{ streetAddress postalCode postalTown countryCode }}")
        elif name == "retained":
            fields.append(f"{name} {{ coordinate until basis }}")
        elif (type_name, name) not in TO_MANY:
            fields.append(name)
    return " ".join(fields)


def everyone(world: Any) -> list[tuple[str, str | None]]:
    """Everybody who may ask, with every purpose that makes a difference to them."""
    return [
        (name, purpose) for name in sorted(world.askers) for purpose in purposes_of(world.askers[name].role)
    ]


# More than any list of the demo has: what tests before have read adds a record each.
MOST_PAGES = 5


@pytest.mark.parametrize("root", LISTS)
def test_every_value_of_every_list_is_as_the_matrix_says_for_everyone(world: Any, root: str) -> None:
    document = f"""query ($after: String) {{ {root}(first: 100, after: $after, orderBy: {{id: ASC}}) {{
      totalCount pageInfo {{ hasNextPage endCursor }} nodes {{ {every_value(LISTS[root])} }} }} }}"""
    for name, purpose in everyone(world):
        variables: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            twin = agree_on(world, name, purpose, (document, variables, None))
            info = (twin.data[root] or {}).get("pageInfo", {})
            if not info.get("hasNextPage"):
                break
            variables = {"after": info["endCursor"]}


@pytest.mark.parametrize(("type_name", "name"), TO_MANY)
def test_every_value_of_every_nested_list_is_as_the_matrix_says_for_everyone(
    world: Any, type_name: str, name: str
) -> None:
    target, _ = TO_MANY[type_name, name]
    root = {entity: root for root, entity in LISTS.items()}[type_name]
    inner = f"{name}(first: 5) {{ totalCount nodes {{ {every_value(target)} }} }}"
    for asker, purpose in everyone(world):
        for direction in ("ASC", "DESC"):
            document = f"{{ {root}(first: 20, orderBy: {{id: {direction}}}) {{ nodes {{ {inner} }} }} }}"
            agree_on(world, asker, purpose, (document, {}, None))


def every_condition(root: str) -> list[str]:
    """A list for each key that its conditions and its order may have."""
    type_name = LISTS[root]
    conditions = [f"orderBy: {{{name}: DESC}}" for name in SCHEMA.type_map[f"{type_name}OrderBy"].fields]
    for name, field in SCHEMA.type_map[f"{type_name}Where"].fields.items():
        operators = getattr(field.type, "fields", {})
        if (type_name, name) in TO_ONE or "some" in operators:
            conditions.append(f"where: {{{name}: {{}}}}")
        elif "in" in operators:
            conditions.append(f"where: {{{name}: {{in: []}}}}")
        if "isNull" in operators:
            conditions.append(f"where: {{not: {{{name}: {{isNull: true}}}}}}")
    return [f"{root}({condition}, first: 1) {{ totalCount nodes {{ id }} }}" for condition in conditions]


@pytest.mark.slow
@pytest.mark.parametrize("root", LISTS)
def test_every_condition_of_every_list_is_as_the_matrix_says_for_everyone(world: Any, root: str) -> None:
    conditions = every_condition(root)
    for start in range(0, len(conditions), 5):
        aliased = [f"k{number}: {text}" for number, text in enumerate(conditions[start : start + 5])]
        document = f"{{ {' '.join(aliased)} }}"
        for name, purpose in everyone(world):
            agree_on(world, name, purpose, (document, {}, None))


def test_every_purpose_of_the_matrix_is_one_the_gateway_knows(world: Any) -> None:
    for purpose in PURPOSES:
        status, _ = world.ask("anonymous", "{ __typename }", purpose=purpose)
        assert status == 200
