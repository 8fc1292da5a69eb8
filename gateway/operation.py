"""What is asked: the parsed, validated operation, within limits, cached by its text.

Takes a document's text and an operation name. Gives an `Operation`. Rejects with SYNTAX_ERROR,
VALIDATION_FAILED, TOO_COMPLEX, BAD_VARIABLE or BAD_REQUEST. graphql-core parses, validates and coerces;
its messages that quote values are replaced by ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from graphql import (
    SKIP,
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_variable_values,
    parse,
    print_ast,
    validate,
    visit,
)

from schema.scalars import read_global_id

from .config import Settings
from .errors import Code, Location, Problem, RequestError, fault
from .limits import check_limits
from .messages import safe_message

ABSENT = object()
VALUE = object()
Look = Callable[[object], object]


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

    @property
    def root_type(self) -> str:
        """The type its root fields are of: `Query`, `Mutation` or `Subscription`."""
        return self.definition.operation.value.capitalize()

    @property
    def is_subscription(self) -> bool:
        """Whether it watches something."""
        return self.definition.operation is OperationType.SUBSCRIPTION

    @property
    def is_mutation(self) -> bool:
        """Whether it changes something."""
        return self.definition.operation is OperationType.MUTATION

    def seen(self, variables: Mapping[str, object]) -> tuple[object, ...]:
        """What a plan may depend on in these coerced variables: a part of the plan's key."""
        return tuple(look(variables[name]) if name in variables else ABSENT for name, look in self.looks)


def parse_operation(text: str, name: str | None, schema: GraphQLSchema, settings: Settings) -> Operation:
    """The named operation of a document, or its only one; raises `RequestError`."""
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
    looks = _looks(document, definition)
    return Operation(definition, fragments, looks, len(text), _text_variables(definition))


def coerce(operation: Operation, given: Mapping[str, Any], schema: GraphQLSchema) -> Mapping[str, Any]:
    """The operation's variables, coerced; raises `RequestError` (BAD_VARIABLE) without naming a value."""
    definitions = operation.definition.variable_definitions
    if not definitions:
        return {}
    if operation.takes_texts and operation.takes_texts == given.keys() and _are_texts(given):
        # PERF: coercion would give the same; it is a tenth of the work before the database.
        return given
    try:
        found = get_variable_values(schema, definitions, dict(given), max_errors=10, hide_suggestions=True)
    except RecursionError as error:
        raise fault(Code.BAD_VARIABLE, "a variable is nested too deeply") from error
    if isinstance(found, list):
        raise RequestError(*(_variable_problem(error) for error in found))
    for definition in definitions:
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


def variables_of(nodes: Iterable[Node], fragments: Mapping[str, FragmentDefinitionNode]) -> frozenset[str]:
    """The variables used in these nodes and in the fragments they spread."""
    found = _Variables()
    waiting, spread = list(nodes), set[str]()
    while waiting:
        visit(waiting.pop(), found)
        for name in found.fragments - spread:
            spread.add(name)
            waiting.append(fragments[name])
    return frozenset(found.names)


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


def _shape(value: object) -> object:
    """The structure of an input value without its leaves, which are only bound."""
    match value:
        case None | bool() | Enum():
            return value
        case dict():
            return tuple((key, _shape(item)) for key, item in value.items())
        case list() if not value or isinstance(value[0], dict):
            return tuple(_shape(item) for item in value)
        case _:
            return VALUE


def _page_size(value: object) -> object:
    return value


def _types_of_ids(value: object) -> object:
    ids = value if isinstance(value, list) else [value]
    types = frozenset(
        found[0] if isinstance(text, str) and (found := read_global_id(text)) else None for text in ids
    )
    return types, len(ids)


class _Usage(Visitor):
    """Finds the variables that are page sizes or ids of unknown type, and NUL in literals."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: dict[str, Look] = {}

    def enter_field(self, node: FieldNode, *_: object) -> None:
        for argument in node.arguments or ():
            name = argument.name.value
            if name in ("first", "last"):
                look: Look = _page_size
            elif node.name.value in ("node", "nodes") and name in ("id", "ids"):
                look = _types_of_ids
            else:
                continue
            found = _Variables()
            visit(argument.value, found)
            for variable in found.names:
                self.looks[variable] = look

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        if "\0" in node.value:
            raise fault(Code.BAD_VARIABLE, "a string holds a NUL character", location_of(node))


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.fragments: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.names.add(node.name.value)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.fragments.add(node.name.value)


class _Inputs(Visitor):
    """Finds the variables that stand in arguments called `input`, and those that stand elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: set[str] = set()
        self.outside: set[str] = set()

    def enter_argument(self, node: ArgumentNode, *_: object) -> object:
        if node.name.value != "input":
            return None
        found = _Variables()
        visit(node.value, found)
        self.inside |= found.names
        return SKIP

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: object) -> object:
        return SKIP

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.outside.add(node.name.value)


class _Values(Visitor):
    """Finds the first value that is written like this."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.first: Node | None = None

    def enter(self, node: Node, *_: object) -> None:
        if self.first is None and isinstance(node, ValueNode) and print_ast(node) == self.text:
            self.first = node


def _looks(document: DocumentNode, definition: OperationDefinitionNode) -> tuple[tuple[str, Look], ...]:
    usage = _Usage()
    visit(document, usage)
    inputs = _used_in_inputs_alone(document, definition)
    names = [node.variable.name.value for node in definition.variable_definitions or ()]
    return tuple((name, usage.looks.get(name, _shape)) for name in names if name not in inputs)


def _used_in_inputs_alone(document: DocumentNode, definition: OperationDefinitionNode) -> frozenset[str]:
    """The variables that stand in a mutation's `input` alone: the gate reads them, the plan does not."""
    if definition.operation is not OperationType.MUTATION:
        return frozenset()
    usage = _Inputs()
    visit(document, usage)
    return frozenset(usage.inside - usage.outside)
