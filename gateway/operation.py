"""What is asked: the parsed, validated operation, within limits, cached by its text.

Takes a document's text and an operation name. Gives an `Operation`. Rejects with SYNTAX_ERROR,
VALIDATION_FAILED, TOO_COMPLEX, BAD_VARIABLE or BAD_REQUEST. graphql-core parses, validates and coerces;
its messages that quote values are replaced by ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    ValueNode,
    Visitor,
    get_variable_values,
    parse,
    print_ast,
    validate,
    visit,
)

from schema.formats import Malformed, operation_name

from .config import Settings
from .errors import Code, Location, Problem, RequestError, fault
from .flat_input import FlatInput, flat_input, input_variable
from .limits import check_length, check_limits, check_variables
from .looks import Look, looks_of
from .messages import safe_message

ABSENT = object()
# Comments, texts and numbers, in the order in which the lexer takes them; a text may lack its end. Nothing of
# it is tried in another way (`*+`), as it goes over documents that nobody has parsed.
LITERALS = re.compile(
    r'''#[^\n\r]*|"""(?:\\"""|[^"]|"(?!""))*+(?:""")?|"(?:\\.|[^"\\\n\r])*+"?|(?<![\w$])-?\d[\w.+-]*'''
)


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation of a valid document.

    `looks` says, for each variable, what of its value a plan may depend on: its shape, whether it is null,
    a page size, a type in a global id; never a value that is only bound. `length` is the text's.
    """

    definition: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    looks: tuple[tuple[str, Look], ...]
    length: int
    # The names of the variables, where each is an `ID` or a `String` and so may be taken as it is.
    takes_texts: frozenset[str]
    # The one variable, where that is an input object that must be given.
    takes_input: FlatInput | None
    # SHA-256 of the document without its comments, texts and numbers, in hexadecimal.
    shape: str
    # Whether it watches something, or changes something; else it reads.
    is_subscription: bool
    is_mutation: bool
    # Stands for it in the keys of its plans, which so do not keep it.
    identity: object = field(default_factory=object)

    @property
    def name(self) -> str | None:
        """What the document calls it, as it may stay on the record; None without such a name."""
        if self.definition.name is None:
            return None
        try:
            return operation_name(self.definition.name.value)
        except Malformed:
            return None

    @property
    def root_type(self) -> str:
        """The type its root fields are of: `Query`, `Mutation` or `Subscription`."""
        return self.definition.operation.value.capitalize()

    def seen(self, variables: Mapping[str, object]) -> tuple[object, ...]:
        """What a plan may depend on in these coerced variables: a part of the plan's key."""
        return tuple(look(variables[name]) if name in variables else ABSENT for name, look in self.looks)


def parse_operation(text: str, name: str | None, schema: GraphQLSchema, settings: Settings) -> Operation:
    """The named operation of a document, or its only one; raises `RequestError`."""
    check_length(text, settings)
    document = _parse(text, settings)
    check_limits(document, settings)
    try:
        errors = validate(schema, document, max_errors=20, hide_suggestions=True)
    except RecursionError:
        raise fault(Code.TOO_COMPLEX, "the document is nested too deeply") from None
    if errors:
        raise RequestError(*(_validation_problem(error, schema, document) for error in errors))
    definition = _choose(document, name)
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    visit(document, _Texts())
    return Operation(
        definition,
        fragments,
        looks_of(definition, fragments, schema),
        len(text),
        _text_variables(definition),
        input_variable(definition, schema),
        shape_of(text),
        is_subscription=definition.operation is OperationType.SUBSCRIPTION,
        is_mutation=definition.operation is OperationType.MUTATION,
    )


def digest_of(document: str) -> str:
    """SHA-256 of a document's text, in hexadecimal: what lists of documents call it by."""
    return hashlib.sha256(document.encode("utf-8", "replace")).hexdigest()


def shape_of(text: str) -> str:
    """SHA-256 of a document without comments and literals, in hexadecimal: it tells no guessed value."""
    return digest_of(LITERALS.sub("0", text))


def coerce(
    operation: Operation, given: Mapping[str, Any], schema: GraphQLSchema, settings: Settings
) -> Mapping[str, Any]:
    """The operation's variables, coerced; raises `RequestError` (BAD_VARIABLE) without naming a value."""
    if (found := coerced_at_once(operation, given)) is not None:
        return found
    check_variables(given, settings)
    return coerced(operation, given, schema)


def coerced_at_once(operation: Operation, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The variables, where they are few and plain and right; else None, and they are counted first."""
    if not given and not operation.definition.variable_definitions:
        return {}
    if operation.takes_texts and operation.takes_texts == given.keys() and _are_texts(given):
        # PERF: coercion would give the same; it is a tenth of the work before the database.
        return given
    if operation.takes_input is not None and (flat := flat_input(operation.takes_input, given)) is not None:
        return flat
    return None


def coerced(operation: Operation, given: Mapping[str, Any], schema: GraphQLSchema) -> Mapping[str, Any]:
    """The variables, which are not too many, coerced; raises `RequestError` (BAD_VARIABLE)."""
    definitions = operation.definition.variable_definitions
    try:
        found = get_variable_values(
            schema, definitions or (), dict(given), max_errors=10, hide_suggestions=True
        )
    except RecursionError as error:
        raise fault(Code.BAD_VARIABLE, "a variable is nested too deeply") from error
    if isinstance(found, list):
        raise RequestError(*(_variable_problem(error) for error in found))
    for definition in definitions or ():
        name = definition.variable.name.value
        if _has_nul(found.coerced.get(name)):
            message = f"variable `${name}` holds a NUL character"
            raise fault(Code.BAD_VARIABLE, message, location_of(definition))
    return found.coerced


def _text_variables(definition: OperationDefinitionNode) -> frozenset[str]:
    definitions = definition.variable_definitions or ()
    texts = all(print_ast(node.type).rstrip("!") in ("ID", "String") for node in definitions)
    return frozenset(node.variable.name.value for node in definitions) if texts else frozenset()


def _are_texts(given: Mapping[str, Any]) -> bool:
    return all(isinstance(value, str) and "\0" not in value for value in given.values())


def location_of(node: Node | None) -> Location | None:
    """Where a node stands in its document."""
    if node is None or node.loc is None:
        return None
    return Location(node.loc.start_token.line, node.loc.start_token.column)


def _parse(text: str, settings: Settings) -> DocumentNode:
    try:
        return parse(text, max_tokens=settings.token_limit)
    except GraphQLError as error:
        place = error.locations[0] if error.locations else None
        where = Location(place.line, place.column) if place else None
        if error.message.startswith("Syntax Error: Document contains more than"):
            raise fault(
                Code.TOO_COMPLEX, f"the document has more than {settings.token_limit} tokens", where
            ) from None
        raise fault(Code.SYNTAX_ERROR, "the document does not parse here", where) from None
    except (RecursionError, UnicodeError) as error:
        raise fault(Code.SYNTAX_ERROR, "the document does not parse") from error


def _choose(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None and len(operations) == 1:
        return operations[0]
    if name is None:
        raise fault(Code.BAD_REQUEST, "the document has several operations: give `operationName`")
    for operation in operations:
        if operation.name is not None and operation.name.value == name:
            return operation
    raise fault(Code.BAD_REQUEST, "the document has no operation of the name given")


def _validation_problem(error: GraphQLError, schema: GraphQLSchema, document: DocumentNode) -> Problem:
    places = error.locations or ()
    location = Location(places[0].line, places[0].column) if places else _place_of(error, document)
    return Problem(Code.VALIDATION_FAILED, safe_message(error, schema), location)


def _place_of(error: GraphQLError, document: DocumentNode) -> Location | None:
    """Where the first value of the document stands that reads like the error's, which is a copy."""
    if not error.nodes:
        return location_of(document.definitions[0])
    found = _Values(print_ast(error.nodes[0]))
    visit(document, found)
    return location_of(found.first or document.definitions[0])


def _variable_problem(error: GraphQLError) -> Problem:
    node: Any = error.nodes[0] if error.nodes else None
    if node is None:
        return Problem(Code.BAD_VARIABLE, "the variables have too many mistakes")
    message = f"variable `${node.variable.name.value}` does not have type `{print_ast(node.type)}`"
    return Problem(Code.BAD_VARIABLE, message, location_of(node))


def _has_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(_has_nul(item) for item in value.values())
        case list():
            return any(_has_nul(item) for item in value)
        case _:
            return False


class _Texts(Visitor):
    """Finds NUL in literals."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        if "\0" in node.value:
            raise fault(Code.BAD_VARIABLE, "a string holds a NUL character", location_of(node))


class _Values(Visitor):
    """Finds the first value that is written like this."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.first: Node | None = None

    def enter(self, node: Node, *_: object) -> None:
        if self.first is None and isinstance(node, ValueNode) and print_ast(node) == self.text:
            self.first = node
