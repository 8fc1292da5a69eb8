"""The record of processing activities (GDPR Article 30) is whole, follows the policy, and is never stale."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from graphql import GraphQLObjectType, build_schema, get_named_type
from sqlmodel import SQLModel
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.policy import default_folder, load_policy
from gateway.policy_files.values import Transfer
from gateway.processing import make_record
from gateway.processing.rendered import Format, rendered
from gateway.processing.values import ProcessingActivity, ProcessingRecord, as_object
from schema.model import load_model
from schema.tags import Personal
from tests.test_matrix import ASKERS
from tests.world import World

MODEL = load_model()
POLICY = load_policy(default_folder(), MODEL)
RECORD = make_record(POLICY, MODEL)
COMMITTED = {Format.MARKDOWN: "processing-record.md", Format.HTML: "processing-record.html"}
SCHEMA = build_schema(MODEL.sdl())
HOSTILE = "</td><script>alert(1)</script> | `x` **b** [a](http://b) & \"q\" 'r' \\ <!-- "


def activity(purpose: str, record: ProcessingRecord = RECORD) -> ProcessingActivity:
    (found,) = [one for one in record.activities if one.purpose == purpose]
    return found


def personal() -> dict[str, Personal]:
    """Every column that holds personal data, as the tables say."""
    return {
        str(column): column.info["tag"]
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.info["tag"], Personal)
    }


def selection(name: str) -> str:
    """Every field of a type and of those below it."""
    of = SCHEMA.type_map[name]
    assert isinstance(of, GraphQLObjectType)
    parts = []
    for field, definition in of.fields.items():
        below = get_named_type(definition.type)
        parts.append(f"{field} {selection(below.name)}" if isinstance(below, GraphQLObjectType) else field)
    return f"{{ __typename {' '.join(parts)} }}"


DOCUMENT = f"{{ processingRecord {selection('ProcessingRecord')} }}"


# ---------------------------------------------------------------- whole


def test_every_personal_column_stands_under_each_purpose_and_rule_of_its_tag() -> None:
    columns = personal()
    assert columns
    for name, tag in columns.items():
        for purpose in tag.purposes:
            found = activity(purpose)
            (category,) = [one for one in found.categories if one.key == tag.category]
            assert name in category.columns
            (period,) = [one for one in found.erasure if one.rule == tag.retention]
            assert tag.category in period.categories
            assert set(tag.subjects) <= {one.code for one in found.data_subjects}


def test_every_column_of_the_record_is_a_personal_one() -> None:
    named = {name for one in RECORD.activities for category in one.categories for name in category.columns}
    assert named == set(personal())


def test_every_purpose_is_an_activity_with_its_lawful_bases() -> None:
    found = {one.purpose: one.lawful_bases for one in RECORD.activities}
    assert found == {code: purpose.basis for code, purpose in POLICY.purposes.items()}
    assert [one.purpose for one in RECORD.activities] == list(POLICY.purposes)


def test_every_recipient_stands_under_each_of_its_purposes_with_its_fields() -> None:
    for recipient in POLICY.recipients.values():
        for purpose in recipient.purposes:
            (found,) = [one for one in activity(purpose).recipients if one.name == recipient.name]
            assert (found.role, found.contact) == (recipient.role, recipient.contact)
            assert set(found.fields) == recipient.fields
    assert {one.name for found in RECORD.activities for one in found.recipients} == set(POLICY.recipients)


def test_every_rule_and_every_category_of_data_subjects_stands_in_the_record() -> None:
    assert {one.rule for found in RECORD.activities for one in found.erasure} == set(POLICY.retention)
    subjects = {one.code for found in RECORD.activities for one in found.data_subjects}
    assert subjects == set(POLICY.controller.subjects)


def test_a_role_has_access_to_what_its_lines_show_for_the_purpose() -> None:
    (support,) = [one for one in activity("customer-service").access if one.role == "support"]
    assert {"Customer.email", "Delivery.recipientPhone"} <= set(support.shown)
    assert "Customer.email" not in support.masked
    assert "user.contact.email" in support.categories
    (marketing,) = activity("newsletter").access[:1]
    assert (marketing.role, "Customer.email" in marketing.masked) == ("marketing", True)
    (finance,) = activity("payment").access
    assert (finance.role, finance.changed) == ("finance", ("Order.paymentStatus",))
    assert [one.role for one in activity("authority-request").access] == ["privacy_officer"]


def test_every_field_a_partner_is_shown_of_a_customer_stands_in_its_access() -> None:
    for role, purpose in (("carrier", "delivery"), ("newsletter", "newsletter")):
        (access,) = [one for one in activity(purpose).access if one.role == role]
        listed = {field for one in activity(purpose).recipients for field in one.fields}
        assert set(access.shown) <= listed


def test_what_an_employee_sees_of_themselves_is_no_access_to_others() -> None:
    assert activity("service-improvement").access == ()


def test_a_line_taken_away_is_gone_from_the_record() -> None:
    lines = {line for line in POLICY.lines if line.coordinate != "Return.refundIban" or line.use != "read"}
    before, after = (
        {one.role for one in activity("returns", record).access if "Return.refundIban" in one.shown}
        for record in (RECORD, make_record(replace(POLICY, lines=frozenset(lines)), MODEL))
    )
    assert ("finance" in before, after) == (True, set())


def test_a_transfer_to_a_third_country_stands_under_its_recipient_and_in_the_documents() -> None:
    hosting = replace(POLICY.recipients["Hosting"], transfer=Transfer("US", "Standard contractual clauses"))
    policy = replace(POLICY, recipients={**POLICY.recipients, "Hosting": hosting})
    record = make_record(policy, MODEL)
    (found,) = [one.transfer for one in activity("security", record).recipients if one.name == "Hosting"]
    assert found is not None
    assert (found.country, found.safeguards) == ("US", "Standard contractual clauses")
    for form in COMMITTED:
        assert "Hosting, US: Standard contractual clauses" in rendered(record, form)


# ---------------------------------------------------------------- documents


@pytest.mark.parametrize("form", COMMITTED)
def test_the_committed_record_is_the_one_the_policy_comes_to(form: Format) -> None:
    name = COMMITTED[form]
    committed = (default_folder() / name).read_text(encoding="utf-8")
    renew = f"policies/{name} is stale: gateway policy record --format {form} --output policies/{name}"
    assert committed == rendered(RECORD, form), renew


def test_the_documents_leave_out_the_policys_version_and_are_not_a_part_of_it(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(default_folder(), tmp_path / "policies"))
    for name in COMMITTED.values():
        assert POLICY.version not in (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text("another text")
    assert load_policy(folder, MODEL).version == POLICY.version


def test_each_document_names_every_purpose_recipient_rule_measure_and_column() -> None:
    for form in COMMITTED:
        words = re.sub(r"\\|<[^>]*>", "", rendered(RECORD, form))
        wanted = [*POLICY.purposes, *POLICY.recipients, *POLICY.retention, *personal()]
        wanted += [*POLICY.controller.protection, *POLICY.controller.subjects.values()]
        assert [name for name in wanted if name not in words.replace("&amp;", "&")] == []


def hostile() -> ProcessingRecord:
    """The record of a store whose files are full of markup."""
    controller = replace(POLICY.controller, name=HOSTILE, protection=(HOSTILE, "1. first", "- second"))
    hosting = replace(POLICY.recipients["Hosting"], name=HOSTILE, transfer=Transfer(HOSTILE, HOSTILE))
    purposes = {code: replace(one, description=HOSTILE) for code, one in POLICY.purposes.items()}
    recipients = {**POLICY.recipients, "Hosting": hosting}
    changed = replace(POLICY, controller=controller, recipients=recipients, purposes=purposes)
    return make_record(changed, MODEL)


class Balanced(HTMLParser):
    """Tells whether every element of a page is closed in its place, and collects its texts and elements."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        assert tag in self.VOID, f"{tag} is not closed by a slash in HTML"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("record", [RECORD, hostile()], ids=["ours", "hostile"])
def test_the_page_is_well_formed_and_its_texts_are_no_markup(record: ProcessingRecord) -> None:
    text = rendered(record, Format.HTML)
    page = Balanced()
    page.feed(text)
    page.close()
    assert page.open == []
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert page.tags == {
        *("html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "h3", "p", "ul"),
        *("li", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "code"),
    }
    assert record.controller.name in page.texts
    tree = ElementTree.fromstring(text.partition("\n")[2])  # noqa: S314  # our own page
    assert all(head.get("scope") in ("row", "col") for head in tree.iter("th"))
    widths = [[len(row) for row in table.iter("tr")] for table in tree.iter("table")]
    assert all(len(set(of_table)) == 1 for of_table in widths)


def test_a_text_is_no_markup_in_markdown_and_no_cell_too_many() -> None:
    text = rendered(hostile(), Format.MARKDOWN)
    for markup in ("<script>", "**b**", "[a](", "<!--"):
        assert markup not in text
    assert "\n- 1\\. first\n- \\- second\n" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    parts = [len(re.findall(r"(?<!\\)\|", line)) for line in tables]
    for number, line in enumerate(tables):
        if set(line) <= {"|", "-"}:
            assert parts[number - 1] == parts[number] == parts[number + 1]


def test_the_command_writes_each_form_to_a_file_or_prints_it(tmp_path: Path) -> None:
    for form in Format:
        printed = CliRunner().invoke(cli, ["policy", "record", "--format", form])
        path = tmp_path / form
        written = CliRunner().invoke(cli, ["policy", "record", "--format", form, "--output", str(path)])
        assert (printed.exit_code, written.exit_code, written.output) == (0, 0, "")
        assert printed.output == path.read_text(encoding="utf-8") == rendered(RECORD, form)
    assert json.loads(rendered(RECORD, Format.JSON)) == as_object(RECORD)


def test_the_command_says_when_its_file_cannot_be_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["policy", "record", "--output", str(tmp_path / "none" / "record.md")])
    assert result.exit_code == 1
    assert "`--output`: the file cannot be written" in str(result.exception)


# ---------------------------------------------------------------- GraphQL


def test_the_record_is_given_whole_to_those_who_answer_for_it(world: World) -> None:
    for name in ("register-admin", "privacy-officer"):
        with world.recorded() as statements:
            found = world.data(name, DOCUMENT)["processingRecord"]
        assert found == as_object(make_record(world.gateway.policy, MODEL))
        assert not any("SELECT" in one and "customer" in one for one in statements)


@pytest.mark.parametrize(
    "name", [name for name in ASKERS if name not in ("register-admin", "privacy-officer")]
)
def test_the_record_is_refused_to_everybody_else_and_not_shown_to_them(world: World, name: str) -> None:
    status, body = world.ask(name, "{ processingRecord { policyVersion } }")
    assert (status, body["data"]) == (200, {"processingRecord": None})
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "FIELD_FORBIDDEN"
    assert error["extensions"]["coordinate"] == "Query.processingRecord"
    types = world.data(name, "{ __schema { types { name } } }")["__schema"]["types"]
    assert not {"ProcessingRecord", "DataController", "RoleAccess"} & {one["name"] for one in types}


def test_a_part_of_the_record_is_given_under_the_keys_asked_for(world: World) -> None:
    document = """{ r: processingRecord { ...V activities { p: purpose ... on ProcessingActivity { lists }
      recipients { name transfer { country } } } } } fragment V on ProcessingRecord { v: policyVersion }"""
    found = world.data("privacy-officer", document)["r"]
    assert list(found) == ["v", "activities"]
    assert found["v"] == world.gateway.policy.version
    assert found["activities"][8] == {
        "p": "security",
        "lists": False,
        "recipients": [{"name": "Hosting", "transfer": None}],
    }
