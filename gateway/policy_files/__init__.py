"""The YAML files of the policy: purposes, recipients, retention rules, the notice and the controller.

Takes the folder. Gives `PolicyFiles`. Rejects, with `PolicyError` naming file and entry, what is malformed;
what does not fit the schema, the tags or the policy lines is rejected by `checks`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from ..periods import Period, Unit
from .entries import Entry, read_list, read_mapping
from .values import (
    Basis,
    Controller,
    Moment,
    Notice,
    PolicyFiles,
    Purpose,
    Recipient,
    RecipientRole,
    RetentionRule,
    Transfer,
)

PERIOD = re.compile(r"([1-9][0-9]{0,3}) (day|month|year)s?")
# What no purpose may be called: policy lines use it for every purpose.
RESERVED = "any"


def read_files(folder: Path, roles: Collection[str]) -> PolicyFiles:
    """The files of a folder; `roles` are those that may have a default purpose."""
    return PolicyFiles(
        purposes=_purposes(folder / "purposes.yaml", roles),
        recipients=_recipients(folder / "recipients.yaml"),
        retention=_retention(folder / "retention.yaml"),
        notice=_notice(folder / "notice.yaml"),
        controller=_controller(folder / "controller.yaml"),
    )


def load_periods(folder: Path) -> Mapping[str, Period]:
    """How long each rule of `retention.yaml` keeps."""
    return {name: rule.period for name, rule in _retention(folder / "retention.yaml").items()}


def _purposes(path: Path, roles: Collection[str]) -> Mapping[str, Purpose]:
    purposes: dict[str, Purpose] = {}
    defaults: set[str] = set()
    for code, entry in read_list(path, ("code", "basis", "default_for", "description", "lists")).items():
        if code == RESERVED:
            entry.fail("the name is reserved")
        default_for = frozenset(entry.texts("default_for", may_be_empty=True))
        if unknown := default_for - frozenset(roles):
            entry.fail(f"unknown role `{min(unknown)}`")
        if doubled := default_for & defaults:
            entry.fail(f"role `{min(doubled)}` has two default purposes")
        defaults |= default_for
        basis, lists = entry.choices("basis", Basis), entry.flag("lists")
        purposes[code] = Purpose(code, basis, entry.text("description"), default_for, lists)
    return purposes


def _recipients(path: Path) -> Mapping[str, Recipient]:
    required = ("name", "role", "purposes", "fields", "contact")
    return {
        name: Recipient(
            name=name,
            role=entry.choice("role", RecipientRole),
            purposes=frozenset(entry.texts("purposes")),
            # None at all: such a recipient reads nothing through the gateway.
            fields=frozenset(entry.texts("fields", may_be_empty=True)),
            contact=entry.text("contact"),
            transfer=_transfer(entry),
        )
        for name, entry in read_list(path, required, ("transfer",)).items()
    }


def _transfer(entry: Entry) -> Transfer | None:
    if not entry.has("transfer"):
        return None
    found = entry.entry("transfer", ("country", "safeguards"))
    return Transfer(found.text("country"), found.text("safeguards"))


def _retention(path: Path) -> Mapping[str, RetentionRule]:
    return {
        rule: RetentionRule(
            rule=rule,
            after=entry.choice("after", Moment),
            period=_period(entry, "period"),
            warned=_period(entry, "warned") if entry.has("warned") else None,
            law=entry.optional_text("law"),
        )
        for rule, entry in read_list(path, ("rule", "after", "period"), ("warned", "law")).items()
    }


def _period(entry: Entry, key: str) -> Period:
    found = PERIOD.fullmatch(entry.text(key))
    if found is None:
        entry.fail(f"`{key}` is a number of days, months or years, such as `90 days`")
    return Period(int(found[1]), Unit(f"{found[2]}s"))


def _notice(path: Path) -> Notice:
    found = read_mapping(path, ("version", "text"))
    return Notice(found.text("version"), found.long_text("text"))


def _controller(path: Path) -> Controller:
    required = ("name", "business_id", "address", "contact", "protection", "subjects")
    found = read_mapping(path, required, ("data_protection_officer",))
    subjects = found.entries("subjects", ("code", "description"))
    return Controller(
        name=found.text("name"),
        business_id=found.text("business_id"),
        address=found.text("address"),
        contact=found.text("contact"),
        data_protection_officer=found.optional_text("data_protection_officer"),
        protection=found.texts("protection"),
        subjects={code: entry.text("description") for code, entry in subjects.items()},
    )
