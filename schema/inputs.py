"""What may stand in `where` and `orderBy`: one filter type per kind of value, two inputs per entity."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, cast

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.base import StrawberryList, StrawberryOptional

from .fields import SOURCE, Keys, Scalar, ToMany, ToOne, ValueObject
from .scalars import Date, DateTime, Decimal


@strawberry.enum(description="In which direction a list is sorted.")
class Direction(Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest first, nulls last.")
    DESC = strawberry.enum_value("DESC", description="Largest first, nulls first.")


OPERATORS = {
    "eq": "Equal to this value.",
    "in": "Equal to one of these values; an empty list matches nothing.",
    "lt": "Less than this value.",
    "lte": "Less than or equal to this value.",
    "gt": "Greater than this value.",
    "gte": "Greater than or equal to this value.",
    "starts_with": "Begins with this text, letter case included.",
    "is_null": "Whether there is no value.",
    "contains": "This value is one of the list.",
}
_EQUAL = ("eq", "in", "is_null")
_ORDERED = ("eq", "in", "lt", "lte", "gt", "gte", "is_null")


def optional(of: Any) -> StrawberryAnnotation:
    """The annotation of a nullable `of`."""
    return StrawberryAnnotation(StrawberryOptional(of))


def listed(of: Any) -> StrawberryAnnotation:
    """The annotation of a nullable list of non-null `of`."""
    return StrawberryAnnotation(StrawberryOptional(StrawberryList(of)))


def make_input(name: str, description: str, texts: Mapping[str, str]) -> type:
    """A Strawberry input with one optional field per text; `settle` gives the fields their types."""
    body: dict[str, Any] = {"__annotations__": dict.fromkeys(map(_safe, texts), "str | None")}
    for field, text in texts.items():
        body[_safe(field)] = strawberry.field(name=camel(field), description=text, default=strawberry.UNSET)
    return strawberry.input(type(name, (), body), name=name, description=description)


def settle(made: type, types: Mapping[str, StrawberryAnnotation]) -> None:
    """Gives the fields of a made input or type their types, which may be each other."""
    for field in cast(Any, made).__strawberry_definition__.fields:
        if (annotation := types.get(field.python_name.removesuffix("_"))) is not None:
            field.type_annotation = annotation


def _safe(name: str) -> str:
    return f"{name}_" if name in {"in", "and", "or", "not"} else name


def camel(name: str) -> str:
    """A Python name as GraphQL writes it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def filter_of(name: str, value: Any, operators: tuple[str, ...]) -> type:
    """The filter input of one kind of value; all operators given must hold."""
    made = make_input(
        f"{name}Filter",
        f"Conditions on a `{name}`; all that are given must hold.",
        {operator: OPERATORS[operator] for operator in operators},
    )
    special = {"in": listed(value), "is_null": optional(bool)}
    settle(made, {operator: special.get(operator, optional(value)) for operator in operators})
    return made


class Filters:
    """The filter input of every kind of value, made once."""

    def __init__(self) -> None:
        self._made: dict[Any, type] = {
            str: filter_of("String", str, ("eq", "in", "starts_with", "is_null")),
            int: filter_of("Int", int, _ORDERED),
            bool: filter_of("Boolean", bool, ("eq", "is_null")),
            DateTime: filter_of("DateTime", DateTime, _ORDERED),
            Date: filter_of("Date", Date, _ORDERED),
            Decimal: filter_of("Decimal", Decimal, _ORDERED),
            strawberry.ID: filter_of("ID", strawberry.ID, ("eq", "in")),
            Keys: filter_of("IDs", strawberry.ID, ("contains",)),
        }

    def of(self, value: Any) -> type:
        """The filter of a value type; an enum's is made when it is first asked for."""
        if value not in self._made:
            self._made[value] = filter_of(value.__name__, value, _EQUAL)
        return self._made[value]


def comparable_type(source: object, annotated: Any) -> Any | None:
    """The type a field is compared by, or None where it can be neither filtered nor sorted by."""
    match source:
        case Scalar(comparable=True):
            return annotated
        case ValueObject(compared="amount"):
            return Decimal
        case Keys():
            return Keys
        case _:
            return None


def _is_sortable(source: object) -> bool:
    return not isinstance(source, Keys) and comparable_type(source, True) is not None


def unwrap(field: Any) -> Any:
    """The named type of a Strawberry field, without its nullability."""
    resolved = field.type
    inner = resolved.of_type if isinstance(resolved, StrawberryOptional) else resolved
    return getattr(inner, "wrapped_cls", inner)


class Inputs:
    """`TWhere`, `TListWhere` and `TOrderBy` of every entity, made first and settled after."""

    def __init__(self, entities: Mapping[str, type]) -> None:
        self._filters = Filters()
        self.where = {name: self._make_where(name, declared) for name, declared in entities.items()}
        self.lists = {
            name: make_input(
                f"{name}ListWhere",
                f"Conditions on a list of `{name}`.",
                {"some": "At least one visible entry meets this.", "none": "No visible entry meets this."},
            )
            for name in entities
        }
        self.order_by = {name: self._make_order_by(name, declared) for name, declared in entities.items()}
        for name, declared in entities.items():
            where = optional(self.where[name])
            settle(self.lists[name], {"some": where, "none": where})
            self._settle_where(name, declared)

    @staticmethod
    def _make_where(name: str, declared: type) -> type:
        texts = {
            "and": "All of these.",
            "or": "Any of these; an empty list matches nothing.",
            "not": "Not this.",
        }
        for field in _fields(declared):
            source = field.metadata[SOURCE]
            if isinstance(source, ToOne | ToMany) or comparable_type(source, True) is not None:
                texts[field.python_name] = f"On `{camel(field.python_name)}`."
        return make_input(f"{name}Where", f"Conditions on a `{name}`; all that are given must hold.", texts)

    def _settle_where(self, name: str, declared: type) -> None:
        where = self.where[name]
        types = {"and": listed(where), "or": listed(where), "not": optional(where)}
        for field in _fields(declared):
            match field.metadata[SOURCE]:
                case ToOne(target):
                    types[field.python_name] = optional(self.where[target])
                case ToMany(target):
                    types[field.python_name] = optional(self.lists[target])
                case source:
                    if (value := comparable_type(source, unwrap(field))) is not None:
                        types[field.python_name] = optional(self._filters.of(value))
        settle(where, types)

    @staticmethod
    def _make_order_by(name: str, declared: type) -> type:
        texts = {
            field.python_name: f"By `{camel(field.python_name)}`."
            for field in _fields(declared)
            if _is_sortable(field.metadata[SOURCE])
        }
        made = make_input(f"{name}OrderBy", f"One key to sort a list of `{name}` by.", texts)
        settle(made, dict.fromkeys(texts, optional(Direction)))
        return made


def _fields(declared: type) -> list[Any]:
    fields: list[Any] = cast(Any, declared).__strawberry_definition__.fields
    return [field for field in fields if SOURCE in field.metadata]
