"""The policy's YAML files: read strictly, held against schema, tags and lines; a mistake stops the start."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from gateway.errors import PolicyError
from gateway.periods import Period, Unit
from gateway.policy import default_folder, load_policy
from gateway.policy_files.checks import recipients_of
from gateway.policy_files.values import Basis, Moment, RecipientRole, Transfer
from schema.model import load_model

MODEL = load_model()
FILES = ("purposes", "recipients", "retention", "notice", "controller")
POLICY = load_policy(default_folder(), MODEL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the policy that a test may spoil."""
    return Path(shutil.copytree(default_folder(), tmp_path / "policies"))


def spoil(folder: Path, name: str, before: str, after: str) -> Path:
    """Puts one text for another in a file, wherever it first stands."""
    path = folder / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    return path


def message(folder: Path) -> str:
    with pytest.raises(PolicyError) as caught:
        load_policy(folder, MODEL)
    return str(caught.value)


PAYMENT = (
    "- {code: payment, basis: [b], default_for: [], lists: false, description: Taking payment for an order}"
)
IBAN = "- {rule: R-IBAN, after: refund, period: 30 days}"
HOSTING = "- name: Hosting\n  role: processor\n  purposes: [security]"
# What is wrong: the file, what stands there, what is put in its place, and what is said of it.
SPOILED: dict[str, tuple[str, str, str, str]] = {
    # purposes
    "a purpose's unknown key": (
        "purposes",
        "{code: payment,",
        "{code: payment, note: x,",
        "entry 3: unknown key `note`",
    ),
    "a purpose without `lists`": (
        "purposes",
        PAYMENT,
        PAYMENT.replace("lists: false, ", ""),
        "`lists` is missing",
    ),
    "`lists` that is no yes or no": (
        "purposes",
        PAYMENT,
        PAYMENT.replace("false", "1"),
        "`payment`: `lists` is `true` or",
    ),
    "a purpose without basis": (
        "purposes",
        PAYMENT,
        PAYMENT.replace("[b]", "[]"),
        "`payment`: `basis` is empty",
    ),
    "an unknown basis": (
        "purposes",
        PAYMENT,
        PAYMENT.replace("[b]", "[g]"),
        "`payment`: `basis` is one of a, b",
    ),
    "a basis twice": (
        "purposes",
        PAYMENT,
        PAYMENT.replace("[b]", "[b, b]"),
        "`payment`: `basis` has `b` twice",
    ),
    "a basis that is no list": (
        "purposes",
        PAYMENT,
        PAYMENT.replace("[b]", "b"),
        "`basis` is a list of texts",
    ),
    "a basis of numbers": ("purposes", PAYMENT, PAYMENT.replace("[b]", "[1]"), "`basis` is a list of texts"),
    "an empty description": (
        "purposes",
        "Taking payment for an order",
        '""',
        "`payment`: `description` is a text",
    ),
    "an unknown default role": ("purposes", "[warehouse]", "[warehose]", "unknown role `warehose`"),
    "two defaults of a role": (
        "purposes",
        PAYMENT,
        PAYMENT.replace("[],", "[warehouse],"),
        "two default purposes",
    ),
    "a purpose twice": ("purposes", PAYMENT, f"{PAYMENT}\n{PAYMENT}", "entry 4: `payment` stands twice"),
    "the reserved purpose": ("purposes", "code: payment", "code: any", "`any`: the name is reserved"),
    "a code that is no text": ("purposes", "code: payment", "code: 7", "entry 3: `code` is a text"),
    "a key twice": (
        "purposes",
        "{code: payment,",
        "{code: payment, code: x,",
        "purposes.yaml:6: a key stands twice",
    ),
    "an entry that is no mapping": (
        "purposes",
        PAYMENT,
        "- payment",
        "entry 3: this is a mapping with `code`",
    ),
    "a purpose that columns name": (
        "purposes",
        "code: returns",
        "code: refunds",
        "unknown purpose `returns`",
    ),
    "no YAML": ("purposes", PAYMENT, "- {code: payment", "purposes.yaml:"),
    "an impossible date": ("purposes", PAYMENT, "- 2026-13-45", "not readable as YAML"),
    # recipients
    "a recipient's unknown key": ("recipients", HOSTING, f"{HOSTING}\n  mail: x", "unknown key `mail`"),
    "a recipient without contact": (
        "recipients",
        "  contact: privacy@hosting.example\n",
        "",
        "`contact` is missing",
    ),
    "a recipient without purpose": (
        "recipients",
        "purposes: [security]",
        "purposes: []",
        "`Hosting`: `purposes` is empty",
    ),
    "an unknown role of a recipient": (
        "recipients",
        HOSTING,
        HOSTING.replace("processor", "owner"),
        "`role` is one of",
    ),
    "an unknown purpose": (
        "recipients",
        "[security]",
        "[curiosity]",
        "`Hosting`: unknown purpose `curiosity`",
    ),
    "an unknown field": ("recipients", "Order.total", "Order.totl", "no coordinate `Order.totl`"),
    "a field twice": ("recipients", "Order.total", "Order.number", "`fields` has `Order.number` twice"),
    "a whole type": ("recipients", "Order.total", "Order", "`Order` is no field of a row about a customer"),
    "an operation": ("recipients", "Order.total", "Query.node", "`Query.node` is no field of a row about"),
    "a field about nobody": (
        "recipients",
        "Order.total",
        "Carrier.name",
        "`Carrier.name` is no field of a row",
    ),
    "a recipient twice": ("recipients", "name: Hosting", "name: Posti", "entry 7: `Posti` stands twice"),
    "a transfer without safeguards": (
        *("recipients", "purposes: [security]", "purposes: [security]\n  transfer: {country: US}"),
        "`Hosting`: `transfer`: `safeguards` is missing",
    ),
    "a field the newsletter's role sees": (
        *("recipients", "    - Customer.unsubscribeUrl\n", ""),
        "role `newsletter` sees `Customer.unsubscribeUrl`, which no recipient's list has",
    ),
    "a field the carriers' role sees": (
        *("recipients", "    - DeliveryEvent.place\n", ""),
        "role `carrier` sees `DeliveryEvent.place`, which no recipient's list has",
    ),
    "a recipient for another purpose": (
        *("recipients", "purposes: [newsletter]", "purposes: [payment]"),
        "role `newsletter` sees `Customer.email`, which no recipient's list has",
    ),
    # retention
    "a rule's unknown key": ("retention", IBAN, IBAN.replace("}", ", note: x}"), "unknown key `note`"),
    "a rule without period": ("retention", IBAN, "- {rule: R-IBAN, after: refund}", "`period` is missing"),
    "a period in words": (
        "retention",
        IBAN,
        IBAN.replace("30 days", "a month"),
        "`R-IBAN`: `period` is a number of",
    ),
    "a period of nothing": (
        "retention",
        IBAN,
        IBAN.replace("30 days", "0 days"),
        "`R-IBAN`: `period` is a number of",
    ),
    "a period in hours": (
        "retention",
        IBAN,
        IBAN.replace("30 days", "30 hours"),
        "`R-IBAN`: `period` is a number of",
    ),
    "a warning in words": (
        "retention",
        "warned: 30 days",
        "warned: early",
        "`R-ACCOUNT`: `warned` is a number of",
    ),
    "an unknown moment": ("retention", IBAN, IBAN.replace("refund", "payday"), "`R-IBAN`: `after` is one of"),
    "an empty law": ("retention", '"Accounting Act 1336/1997 2:10"', '""', "`R-VOUCHER`: `law` is a text"),
    "a rule twice": ("retention", IBAN, f"{IBAN}\n{IBAN}", "`R-IBAN` stands twice"),
    "a rule that columns name": (
        "retention",
        f"{IBAN}\n",
        "",
        "columns name the rule `R-IBAN`, which is missing",
    ),
    "a rule that no column names": (
        *("retention", IBAN, f"{IBAN}\n{IBAN.replace('R-IBAN', 'R-OTHER')}"),
        "no column names the rule `R-OTHER`",
    ),
    # the notice
    "a notice's unknown key": ("notice", "version:", "author: x\nversion:", "unknown key `author`"),
    "a notice without version": ("notice", 'version: "2026-1"\n', "", "`version` is missing"),
    "a version that is a number": ("notice", '"2026-1"', "2026.1", "`version` is a text"),
    "a version around a space": ("notice", '"2026-1"', '" 2026-1"', "`version` is a text"),
    # the controller
    "a controller's unknown key": (
        "controller",
        "name: Example",
        "names: x\nname: Example",
        "unknown key `names`",
    ),
    "a controller without address": (
        "controller",
        "address:",
        "data_protection_officer:",
        "a key stands twice",
    ),
    "a controller without contact": (
        "controller",
        "contact: privacy@store.example (demo data)",
        "",
        "`contact` is missing",
    ),
    "no protection": ("controller", "protection:\n", "protection: []\nothers:\n", "unknown key `others`"),
    "a subject twice": ("controller", "code: recipient", "code: customer", "`customer` stands twice"),
    "a subject without description": (
        "controller",
        "{code: partner, ",
        "{code: partner} #",
        "`description` is missing",
    ),
    "a subject that columns name": (
        *("controller", "code: partner", "code: neighbour"),
        "columns name the category of data subjects `partner`, which is missing",
    ),
    "a subject that no column names": (
        *("controller", "subjects:\n", "subjects:\n  - {code: child, description: Children}\n"),
        "no column names the category of data subjects `child`",
    ),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_spoiled_file_stops_the_start_naming_file_and_entry(folder: Path, fault: str) -> None:
    name, before, after, wanted = SPOILED[fault]
    path = spoil(folder, name, before, after)
    found = message(folder)
    assert wanted in found
    assert found.startswith(str(path)) or ("unknown purpose `returns`" in found and ".csv:" in found)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", "# nothing but a comment\n", "text", "- 1", "\x00", "[" * 9999]
)
def test_a_file_of_nothing_or_of_another_form_stops_the_start(folder: Path, name: str, text: str) -> None:
    """The service never starts without purposes or recipients."""
    (folder / f"{name}.yaml").write_text(text)
    assert message(folder).startswith(str(folder / f"{name}.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_every_key_of_a_file_is_needed_unless_it_is_an_optional_one(folder: Path, name: str) -> None:
    optional = {"warned", "law", "transfer", "data_protection_officer"}
    path = folder / f"{name}.yaml"
    whole = yaml.safe_load(path.read_text())
    first = whole[0] if isinstance(whole, list) else whole
    for key in [*first]:
        value = first.pop(key)
        path.write_text(yaml.safe_dump(whole))
        if key in optional:
            load_policy(folder, MODEL)
        else:
            assert f"`{key}` is missing" in message(folder)
        first[key] = value


def test_a_purpose_that_only_a_policy_line_names_stops_the_start(folder: Path) -> None:
    spoil(folder, "purposes", "code: payment", "code: paying")
    assert re.search(r"finance\.csv:\d+: unknown purpose `payment`", message(folder))


def test_a_column_kept_for_a_purpose_that_is_not_listed_stops_the_start(folder: Path) -> None:
    """No policy line and no recipient names `account`: the tags alone do."""
    spoil(folder, "purposes", "code: account,", "code: profile,")
    found = message(folder)
    assert re.search(r"purposes\.yaml: column `\w+\.\w+` is kept for `account`, which is missing", found)


def test_the_values_are_typed() -> None:
    assert POLICY.purposes["returns"].basis == (Basis.CONTRACT, Basis.LEGAL_OBLIGATION)
    account, voucher = POLICY.retention["R-ACCOUNT"], POLICY.retention["R-VOUCHER"]
    assert (account.after, account.period) == (Moment.LAST_ACTIVITY, Period(24, Unit.MONTHS))
    assert (account.warned, account.law) == (Period(30, Unit.DAYS), None)
    assert (voucher.period, voucher.law) == (Period(6, Unit.YEARS), "Accounting Act 1336/1997 2:10")
    hosting = POLICY.recipients["Hosting"]
    assert (hosting.role, hosting.fields, hosting.transfer) == (RecipientRole.PROCESSOR, frozenset(), None)
    assert POLICY.controller.name.endswith("(demo data)")


def test_a_period_reads_as_it_is_written() -> None:
    assert [str(Period(count, Unit.MONTHS)) for count in (1, 2)] == ["1 month", "2 months"]


def test_a_transfer_names_the_country_and_the_safeguards(folder: Path) -> None:
    wanted = "purposes: [security]\n  transfer: {country: US, safeguards: Standard contractual clauses}"
    spoil(folder, "recipients", "purposes: [security]", wanted)
    found = load_policy(folder, MODEL).recipients["Hosting"].transfer
    assert found == Transfer("US", "Standard contractual clauses")


def test_lists_of_many_people_are_read_for_three_purposes_alone() -> None:
    listed = {code for code, purpose in POLICY.purposes.items() if purpose.lists}
    assert listed == {"customer-service", "subject-rights", "newsletter"}


def test_a_partners_role_stands_for_the_recipients_of_the_purpose_it_acts_for() -> None:
    names = [one.name for one in recipients_of(POLICY, "carrier")]
    assert names == ["Posti", "Matkahuolto", "DHL", "PostNord"]
    assert [one.name for one in recipients_of(POLICY, "newsletter")] == ["Newsletter provider"]
    assert recipients_of(POLICY, "support") == ()
