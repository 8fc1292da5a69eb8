"""Checks manifests against the grants of the roles they are for, so that a broken client is found in time.

Takes applications and a policy, and the policy before a change where there is one. Gives a `Report`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import Code, Problem, RequestError
from ..policy import PARTNER_ROLES, Policy
from .applications import Application
from .judged import Actor, Judgement, Rules, judge
from .manifests import Entry, is_as_said, parsed

Told = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """One document in one role: what is refused of it, and of that what was not before the change."""

    application: Application
    entry: Entry
    actor: Actor
    judgement: Judgement
    # What was refused of it before the change; None without one.
    former: frozenset[Told] | None = None

    @property
    def is_refused(self) -> bool:
        """Whether anything of it would be refused."""
        return bool(self.judgement.problems)

    def as_dict(self) -> dict[str, object]:
        """The document as JSON has it."""
        return {
            "application": self.application.name,
            "manifest": self.application.manifest.name,
            "id": self.entry.id,
            "name": self.entry.name,
            "role": self.actor.role,
            "purpose": self.actor.purpose,
            "recipient": self.actor.recipient,
            "cost": self.judgement.cost,
            "problems": [self._problem(problem) for problem in self.judgement.problems],
            "withheld": list(self.judgement.withheld),
            "notes": list(self.judgement.notes),
        }

    def _problem(self, problem: Problem) -> dict[str, object]:
        found: dict[str, object] = {"code": problem.code, "message": problem.message, **problem.extensions}
        if problem.location is not None:
            found["location"] = {"line": problem.location.line, "column": problem.location.column}
        return found if self.former is None else found | {"new": self.is_new(problem)}

    def is_new(self, problem: Problem) -> bool:
        """Whether this was not so before the change."""
        return self.former is not None and _told(problem) not in self.former


@dataclass(frozen=True, slots=True)
class Report:
    """Every document in every role it is sent in."""

    policy: str
    before: str | None
    documents: tuple[Checked, ...]

    @property
    def refused(self) -> tuple[Checked, ...]:
        """The documents of which something would be refused."""
        return tuple(one for one in self.documents if one.is_refused)

    def as_dict(self) -> dict[str, object]:
        """The report as JSON has it."""
        return {
            "policy": self.policy,
            "before": self.before,
            "documents": [one.as_dict() for one in self.documents],
            "refused": len(self.refused),
        }


def check(applications: Iterable[Application], rules: Rules, before: Rules | None = None) -> Report:
    """Whether every document would be answered whole; with `before`, what a change of policy changes."""
    found = tuple(one for application in applications for one in _of(application, rules, before))
    return Report(rules.policy.version, before.policy.version if before else None, found)


def _of(application: Application, rules: Rules, before: Rules | None) -> Iterator[Checked]:
    for role in application.roles:
        for actor in actors(application, role, rules.policy):
            for entry in application.of(role):
                yield _checked(application, entry, actor, rules, before)


def actors(application: Application, role: str, policy: Policy) -> Iterator[Actor]:
    """Who sends an application's documents: a partner's as each of its recipients, if none is named."""
    purpose = application.purpose
    if role not in PARTNER_ROLES or application.recipient is not None:
        yield Actor(role, purpose, application.recipient)
        return
    acting_for = policy.effective_purpose(role, purpose)
    listed = policy.recipients.values()
    names: list[str | None] = [one.name for one in listed if acting_for in one.purposes and one.fields]
    for name in names or [None]:
        yield Actor(role, purpose, name)


def _checked(
    application: Application, entry: Entry, actor: Actor, rules: Rules, before: Rules | None
) -> Checked:
    former = None
    if before is not None:
        former = frozenset(_told(problem) for problem in _judged(entry, actor, before).problems)
    return Checked(application, entry, actor, _judged(entry, actor, rules), former)


def _judged(entry: Entry, actor: Actor, rules: Rules) -> Judgement:
    try:
        operation = parsed(entry, rules.model, rules.settings)
    except RequestError as error:
        return Judgement(error.problems, (), (), 0)
    if not is_as_said(entry, operation.definition):
        problem = Problem(Code.BAD_REQUEST, "the document is of another name or type")
        return Judgement((problem,), (), (), 0)
    return judge(operation, actor, rules)


def _told(problem: Problem) -> Told:
    return problem.code, problem.extensions.get("coordinate"), problem.extensions.get("use"), problem.location


def loose(path: Path, entries: tuple[Entry, ...], actor: Actor) -> Application:
    """A manifest outside a documents folder, all of it sent by one actor."""
    return Application(
        path.name, str(path), path, entries, {actor.role: None}, actor.purpose, actor.recipient
    )
