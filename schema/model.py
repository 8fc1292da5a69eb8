"""The whole schema as one frozen value: the GraphQL schema, and how each coordinate is filled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, cast

import strawberry
from graphql import GraphQLEnumType, GraphQLObjectType, GraphQLSchema, get_named_type, print_schema
from sqlalchemy import Table
from strawberry.schema.config import StrawberryConfig

from .accountability import AccessRecord, Disclosure
from .connections import Connections
from .customers import ConsentEvent, Customer
from .deliveries import Delivery, DeliveryEvent
from .employees import Designation, Employee
from .fields import SOURCE, Kind, Listed, Scalar, Source, ToMany, ToOne, ValueObject, table_of
from .inputs import camel
from .mutation import Mutation, make_root, read_mutations
from .orders import Order, OrderLine
from .partner_tokens import PartnerToken
from .partners import Carrier
from .query import LISTS, LOOKUPS, Query, settle_query
from .returns import Return, ReturnLine
from .scalars import SCALARS
from .subject_requests import LegalHold, SubjectRequest
from .subscriptions import WATCHES, Subscription, Watch, settle_subscriptions

ENTITIES: tuple[type, ...] = (
    Customer,
    ConsentEvent,
    Order,
    OrderLine,
    Delivery,
    DeliveryEvent,
    Return,
    ReturnLine,
    Carrier,
    Employee,
    Designation,
    PartnerToken,
    AccessRecord,
    Disclosure,
    SubjectRequest,
    LegalHold,
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an entity: its coordinate, its source and, for a value, its kind."""

    coordinate: str
    name: str
    source: Source
    kind: Kind | None
    # Whether the related row is of the same customer by a foreign key that says so.
    same_customer: bool = False
    # Whether it says something of a customer, so that its use is recorded.
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity type: its table, its fields by GraphQL name, and the columns of those that are one.

    `shown_by` is the field that shows a column, by column, those of amounts and addresses too.
    """

    name: str
    table: Table
    fields: Mapping[str, Field]
    columns: Mapping[str, str]
    shown_by: Mapping[str, str]
    # The column that says which customer a row is about; None where it is about none.
    subject: str | None
    # The column that says which thing was given to a recipient: its own id, of an event its delivery's.
    reference: str


@dataclass(frozen=True, slots=True)
class Model:
    """What the gateway knows of the schema; `lookups` and `lists` are the root fields that read entities.

    `mutations` are the root fields that change them.
    """

    graphql: GraphQLSchema
    entities: Mapping[str, Entity]
    lookups: Mapping[str, tuple[str, Mapping[str, str]]]
    lists: Mapping[str, str]
    subscriptions: Mapping[str, Watch]
    mutations: Mapping[str, Mutation]

    def coordinates(self) -> frozenset[str]:
        """Every coordinate a policy line may name: entities, their fields, and the gated root fields."""
        gated = {"Query.viewer", "Query.privacyNotice", "Query.node", "Query.nodes"}
        gated |= {"Query.processingRecord"}
        gated |= {f"Subscription.{name}" for name in self.subscriptions}
        gated |= {f"Mutation.{name}" for name in self.mutations}
        for entity in self.entities.values():
            gated |= {entity.name} | {field.coordinate for field in entity.fields.values()}
        return frozenset(gated)

    def sdl(self) -> str:
        """The full schema in the schema definition language."""
        return print_schema(self.graphql) + "\n"


@cache
def load_model() -> Model:
    """The model of this package's schema; the same value each time."""
    entities = {_name(declared): declared for declared in ENTITIES}
    settle_query(entities, Connections(entities))
    settle_subscriptions(entities)
    schema = strawberry.Schema(
        Query,
        make_root(entities),
        subscription=Subscription,
        types=ENTITIES,
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
    )
    graphql = cast(GraphQLSchema, cast(Any, schema)._schema)
    return Model(
        graphql=graphql,
        entities=MappingProxyType(
            {name: _entity(name, entities[name], graphql, entities) for name in entities}
        ),
        lookups={
            field: (lookup.target, {camel(name): name for name in lookup.arguments})
            for field, lookup in LOOKUPS.items()
        },
        lists=LISTS,
        subscriptions=WATCHES,
        mutations=read_mutations(),
    )


def _name(declared: type) -> str:
    return cast(str, cast(Any, declared).__strawberry_definition__.name)


def _entity(name: str, declared: type, graphql: GraphQLSchema, entities: Mapping[str, type]) -> Entity:
    table = table_of(declared)
    kinds = cast(GraphQLObjectType, graphql.type_map[name]).fields
    fields = {}
    for field in cast(Any, declared).__strawberry_definition__.fields:
        shown = field.graphql_name or camel(field.python_name)
        source = field.metadata[SOURCE]
        fields[shown] = Field(
            coordinate=f"{name}.{shown}",
            name=shown,
            source=source,
            kind=_kind(source, get_named_type(kinds[shown].type)),
            same_customer=_same_customer(source, table, entities),
            personal=_is_personal(shown, source, table, entities),
        )
    columns = {one.name: column for one in fields.values() if (column := _column(one.source, table))}
    shown_by = {column: one.name for one in fields.values() for column in _parts(one.source, table)}
    shown_by |= {column: one for one, column in columns.items()}
    return Entity(
        name,
        table,
        MappingProxyType(fields),
        MappingProxyType(columns),
        MappingProxyType(shown_by),
        _subject(table),
        "delivery_id" if "delivery_id" in table.c else "id",
    )


def _parts(source: Source, table: Table) -> Iterator[str]:
    """The columns an object without identity is made of."""
    if isinstance(source, ValueObject):
        yield from (str(expression(table).key) for _, expression in source.parts.values())


def _column(source: Source, table: Table) -> str | None:
    match source:
        case Scalar(expression=expression, comparable=True):
            return str(expression(table).key)
        case ToOne(key=key):
            return key
        case _:
            return None


def _subject(table: Table) -> str | None:
    if table.name == "customer":
        return "id"
    return "customer_id" if "customer_id" in table.c else None


def _is_personal(name: str, source: Source, table: Table, entities: Mapping[str, type]) -> bool:
    """Whether a field says something of a customer: every value of a row about one but its id and version.

    A relation to such rows says that they belong together.
    """
    if _subject(table) is None and "subject_ids" not in table.c:
        return False
    if isinstance(source, ToOne | ToMany):
        return _subject(table_of(entities[source.target])) is not None
    return name not in ("id", "version")


def _kind(source: Source, graphql_type: Any) -> Kind | None:
    match source:
        case ToOne() | ToMany() | Listed():
            return None
        case ValueObject(parts, _, compared):
            return parts[compared][0] if compared else None
        case _:
            return Kind.ENUM if isinstance(graphql_type, GraphQLEnumType) else Kind(graphql_type.name)


def _same_customer(source: Source, table: Table, entities: Mapping[str, type]) -> bool:
    match source:
        case ToOne(target, key):
            child, parent, column = table, table_of(entities[target]), key
        case ToMany(target, key):
            child, parent, column = table_of(entities[target]), table, key
        case _:
            return False
    if parent.name == "customer":
        return column == "customer_id"
    return any(
        {column, "customer_id"} == {element.parent.name for element in constraint.elements}
        for constraint in child.foreign_key_constraints
    )


def text_of(value: object) -> object:
    """An enum member as the text the tables hold; anything else as it is."""
    return value.value if isinstance(value, Enum) else value
