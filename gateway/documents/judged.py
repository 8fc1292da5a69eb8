"""What the grants of a role say to a document, before anybody sends it. Pure: no clock, no database.

The document is planned with the planner of requests, and a change's input is put through their gate, once for
each set of sample variables that can make a difference; what any of them is refused counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLInputObjectType, get_named_type

from schema.model import Model
from schema.mutation import Input

from ..access import access_of
from ..config import Settings
from ..errors import Code, Problem, RequestError
from ..grants import Refused as NotGranted
from ..grants import Use
from ..operation import Operation, coerce
from ..plan import Plan, Refusal, plan
from ..plan.values import MutationRoot
from ..policy import Policy
from ..response import problem_of
from ..writes.gate import Refused, gate
from .samples import Sample, required, samples_of, types_of


@dataclass(frozen=True, slots=True)
class Actor:
    """Who a document is judged for."""

    role: str
    purpose: str | None = None
    recipient: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a document: refused where there are `problems`; the rest is to be known."""

    problems: tuple[Problem, ...]
    withheld: tuple[str, ...]
    notes: tuple[str, ...]
    cost: int


@dataclass(frozen=True, slots=True)
class Rules:
    """By what documents are judged."""

    policy: Policy
    model: Model
    settings: Settings


@dataclass(slots=True)
class _Found:
    """What the samples of one document came to."""

    refusals: dict[tuple[str, str | None], Refusal] = field(default_factory=dict)
    too_complex: dict[str, Problem] = field(default_factory=dict)
    invalid: list[Problem] = field(default_factory=list)
    withheld: set[str] = field(default_factory=set)
    inputs: dict[str, MutationRoot] = field(default_factory=dict)
    cost: int = 0
    planned: int = 0

    def problems(self) -> tuple[Problem, ...]:
        """What refuses the document, or a part of it."""
        refused = [problem_of(refusal) for refusal in self.refusals.values()]
        # Mistakes count where no variables make up for them: not those of a sample alone.
        mistakes = self.invalid[:1] if not self.planned and not self.too_complex else []
        return (*refused, *self.too_complex.values(), *mistakes)


def judge(operation: Operation, actor: Actor, rules: Rules) -> Judgement:
    """What the grants of a role for a purpose say to a document."""
    settings = rules.settings
    usual, longest = _Found(), _Found()
    for found, page in ((usual, settings.page_default), (longest, settings.page_limit)):
        for sample in samples_of(operation, rules.model, page):
            _judge(operation, sample, actor, rules, found)
    known = {(one.code, one.message) for one in usual.problems()}
    more = [one for one in longest.problems() if (one.code, one.message) not in known]
    notes = [f"with pages of {settings.page_limit}: {one.code}: {one.message}" for one in more]
    notes += _unjudged(operation, rules.model)
    notes += _refused_inputs(usual, actor, rules)
    withheld = tuple(sorted(usual.withheld | longest.withheld))
    return Judgement(usual.problems(), withheld, tuple(notes), max(usual.cost, longest.cost))


def _judge(operation: Operation, sample: Sample, actor: Actor, rules: Rules, found: _Found) -> None:
    """Plans with what has to be given, and with as much else as goes together, each thing once at least."""
    values = {name: sample.value(name, kind) for name, kind in types_of(operation, rules.model).items()}
    needed = required(operation)
    least = {name: value for name, value in values.items() if name in needed}
    _attempt(operation, least, actor, rules, found)
    optional = [name for name in values if name not in needed]
    for first in optional:
        given: dict[str, Any] = dict(least)
        for name in (first, *(other for other in optional if other != first)):
            more = {**given, name: values[name]}
            if _attempt(operation, more, actor, rules, found):
                given = more


def _attempt(
    operation: Operation, given: Mapping[str, Any], actor: Actor, rules: Rules, found: _Found
) -> bool:
    """Whether the document can be asked with these variables; what comes of it is put to what was found."""
    try:
        variables = coerce(operation, given, rules.model.graphql, rules.settings)
        made, refused = _planned(operation, variables, actor, rules)
    except RequestError as error:
        too_complex = [problem for problem in error.problems if problem.code is Code.TOO_COMPLEX]
        found.too_complex |= {problem.message: problem for problem in too_complex}
        found.invalid += [problem for problem in error.problems if problem not in too_complex]
        return False
    found.planned += 1
    found.cost = max(found.cost, made.cost)
    found.withheld |= set(made.withheld)
    for refusal in (*made.refusals, *refused):
        found.refusals.setdefault((refusal.coordinate, refusal.use), refusal)
    found.inputs |= {root.mutation.name: root for root in made.roots if isinstance(root, MutationRoot)}
    return True


def _planned(
    operation: Operation, variables: Mapping[str, object], actor: Actor, rules: Rules
) -> tuple[Plan, tuple[Refusal, ...]]:
    policy = rules.policy
    access = access_of(policy, actor.role, actor.purpose, actor.recipient)
    made = plan(operation, variables, access, rules.model, rules.settings, policy.became(actor.role))
    if not operation.is_mutation:
        return made, ()
    gated = gate(made, variables, access.grants, rules.model.graphql, rejects=False)
    return made, gated.refusals if isinstance(gated, Refused) else ()


# ---------------------------------------------------------------- what depends on the variables


def _unjudged(operation: Operation, model: Model) -> Iterator[str]:
    """The variables that decide what is compared and sorted by, which no sample can know."""
    kinds = types_of(operation, model)
    for name, _ in operation.looks:
        if isinstance(get_named_type(kinds[name]), GraphQLInputObjectType):
            yield f"`${name}` decides what is compared or sorted by, which is judged with each request"


def _refused_inputs(found: _Found, actor: Actor, rules: Rules) -> Iterator[str]:
    """The input fields of the document's changes that may not be set, whoever sends them."""
    grants = rules.policy.grants(actor.role, actor.purpose)
    for root in found.inputs.values():
        names = sorted(
            f"{of.name}.{name}"
            for of in root.mutation.inputs()
            for name, use, coordinate in _writes(of)
            if isinstance(grants.writing(coordinate, use), NotGranted)
        )
        if names and _is_given_by_variables(root):
            yield f"may not be set by `Mutation.{root.mutation.name}`: {', '.join(names)}"


def _writes(of: Input) -> Iterator[tuple[str, Use, str]]:
    for name, written in of.fields.items():
        if written.coordinate is not None:
            yield name, Use(of.writes.value), written.coordinate


def _is_given_by_variables(root: MutationRoot) -> bool:
    arguments = root.nodes[0].arguments or ()
    return any("variable" in {key.kind for key in _below(one.value)} for one in arguments)


def _below(node: Any) -> Iterator[Any]:
    yield node
    for child in getattr(node, "fields", None) or getattr(node, "values", None) or ():
        yield from _below(getattr(child, "value", child))
