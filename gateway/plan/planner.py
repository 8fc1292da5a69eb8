"""Plans an operation: from each root field down, judged coordinate by coordinate, before any SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphql import FieldNode

from schema.fields import Keys, Kind, Listed, Scalar, ToMany, ToOne, ValueObject
from schema.model import Entity, Field, Model

from ..config import Settings
from ..errors import Code, Location, fault
from ..grants import Rows
from ..operation import location_of
from ..row_rules import Scope
from .arguments import Arguments, Leaf, Tree, Trees, as_list, literal, operand
from .conditions import Conditions
from .judge import Judge
from .selections import Path, Selections
from .values import (
    Connection,
    ConnectionItem,
    Constant,
    Edges,
    EventRoot,
    Item,
    ListRoot,
    LocalRoot,
    LookupRoot,
    NodeRoot,
    Nodes,
    NodesRoot,
    Operand,
    Page,
    PageField,
    PageInfo,
    Reading,
    Record,
    Root,
    ToManyPage,
    ToOneRecord,
    TotalCount,
    Value,
)

LOCAL = ("viewer", "privacyNotice", "processingRecord")
INTROSPECTION = ("__schema", "__type")


@dataclass(frozen=True, slots=True)
class Planner:
    """One planning: what it needs, and the judge that remembers what was refused."""

    model: Model
    settings: Settings
    selections: Selections
    variables: Mapping[str, object]
    trees: Trees
    judge: Judge
    scope: Scope

    # ------------------------------------------------------------ roots

    def root(self, key: str, nodes: Sequence[FieldNode]) -> Root:
        """The plan of a root field; null where it, or a comparison below it, is refused."""
        self.judge.comparison_refused = False
        planned = self._root(key, nodes)
        return Constant(key, None) if planned is None or self.judge.comparison_refused else planned

    def _root(self, key: str, nodes: Sequence[FieldNode]) -> Root | None:
        name, path, location = nodes[0].name.value, Path().child(key), location_of(nodes[0])
        if name == "__typename":
            return Constant(key, "Query")
        if name in INTROSPECTION:
            return LocalRoot(key, name, tuple(nodes))
        kind = "Subscription" if name in self.model.subscriptions else "Query"
        if not self.judge.opens(f"{kind}.{name}", path, location):
            return None
        if name in self.model.lists:
            return self._list_root(key, nodes, path)
        if name in self.model.lookups:
            return self._lookup(key, nodes, path)
        if name in self.model.subscriptions:
            return self._event(key, nodes, path)
        if not self.judge.execution(f"Query.{name}", path, location):
            return None
        if name in LOCAL:
            return LocalRoot(key, name, tuple(nodes))
        return self._node(key, nodes, path) if name == "node" else self._nodes(key, nodes, path)

    def _list_root(self, key: str, nodes: Sequence[FieldNode], path: Path) -> Root | None:
        entity = self.model.entities[self.model.lists[nodes[0].name.value]]
        rules = self.judge.target(entity, f"Query.{nodes[0].name.value}", path, location_of(nodes[0]))
        return None if rules is None else ListRoot(key, self._connection(entity, rules, rules, nodes, path))

    def _lookup(self, key: str, nodes: Sequence[FieldNode], path: Path) -> Root | None:
        name, location = nodes[0].name.value, location_of(nodes[0])
        target, arguments = self.model.lookups[name]
        entity = self.model.entities[target]
        rules = self.judge.target(entity, f"Query.{name}", path, location)
        given = Arguments(nodes[0], self.trees)
        if len(given.given()) != 1:
            wanted = ", ".join(f"`{argument}`" for argument in arguments)
            raise fault(Code.BAD_LOOKUP, f"`{name}` takes exactly one of {wanted}", location)
        if rules is None:
            return None
        field = entity.fields[given.given()[0]]
        if not self.judge.comparison(field, path, location, exact=True):
            return None
        tree = given.get(field.name)
        reading = Reading(Code.BAD_ID, frozenset({target})) if field.kind is Kind.ID else None
        value = operand(tree, field.kind or Kind.STRING, location, reading)
        return LookupRoot(key, field, value, self.record(entity, rules, nodes, path))

    def _event(self, key: str, nodes: Sequence[FieldNode], path: Path) -> Root | None:
        name, location = nodes[0].name.value, location_of(nodes[0])
        watch = self.model.subscriptions[name]
        entity = self.model.entities[watch.target]
        given = Arguments(nodes[0], self.trees)
        if len(given.given()) != 1:
            wanted = ", ".join(f"`{argument}`" for argument in watch.arguments)
            raise fault(Code.BAD_LOOKUP, f"`{name}` takes exactly one of {wanted}", location)
        if not self.judge.execution(f"Subscription.{name}", path, location):
            return None
        rules = self.judge.target(entity, f"Subscription.{name}", path, location)
        if rules is None:
            return None
        argument = given.given()[0]
        steps = watch.arguments[argument]
        # Watching by a key is filtering by it: judged as one, and held by every event.
        tree: Tree = {"eq": given.get(argument)}
        for step in reversed(steps):
            tree = {step: tree}
        conditions = Conditions(self.judge, self.model.entities, path, location, self.settings)
        condition = conditions.where(entity, tree)
        reading = Reading(Code.BAD_ID, frozenset({self._target(entity, steps)}))
        value = operand(given.get(argument), Kind.ID, location, reading)
        return EventRoot(key, argument, value, condition, self.record(entity, rules, nodes, path))

    def _target(self, entity: Entity, steps: Sequence[str]) -> str:
        """The type whose field the steps end at."""
        for step in steps:
            source = entity.fields[step].source
            if isinstance(source, ToOne):
                entity = self.model.entities[source.target]
        return entity.name

    def _node(self, key: str, nodes: Sequence[FieldNode], path: Path) -> Root | None:
        found, records = self._by_ids(nodes, path, "id", path)
        return NodeRoot(key, found, records[0]) if records else None

    def _nodes(self, key: str, nodes: Sequence[FieldNode], path: Path) -> Root | None:
        found, records = self._by_ids(nodes, path, "ids", Path(path.keys, 0))
        return None if records is None else NodesRoot(key, found, records)

    def _by_ids(
        self, nodes: Sequence[FieldNode], path: Path, argument: str, below: Path
    ) -> tuple[Operand, tuple[Record, ...] | None]:
        """The records of the types in the ids; None where one of the types is refused."""
        location = location_of(nodes[0])
        tree = Arguments(nodes[0], self.trees).get(argument)
        if argument == "ids" and isinstance(tree, Leaf) and tree.variable is None:
            tree = as_list(tree)
        reading = Reading(Code.BAD_ID, frozenset(self.model.entities))
        value = operand(tree, Kind.ID, location, reading)
        keys = value.read(self.variables)
        if isinstance(keys, list) and len(keys) > self.settings.page_limit:
            raise fault(Code.BAD_PAGE, f"`ids` takes at most {self.settings.page_limit}", location)
        entities = [self.model.entities[name] for name in sorted(set(value.type_names(self.variables)))]
        field = f"Query.{nodes[0].name.value}"
        accesses = [self.judge.target(entity, field, path, location) for entity in entities]
        if any(rules is None for rules in accesses):
            return value, None
        return value, tuple(
            self.record(entity, rules, nodes, below) for entity, rules in zip(entities, accesses, strict=True)
        )

    # ------------------------------------------------------------ records

    def record(
        self,
        entity: Entity,
        rules: frozenset[str] | None,
        nodes: Sequence[FieldNode],
        path: Path,
    ) -> Record:
        """The plan of one row of an entity, as the selections under `nodes` ask for it."""
        fields = self.selections.below(nodes, frozenset({entity.name, "Node"}))
        items = (self._item(entity, key, below, path.child(key), rules) for key, below in fields.items())
        return Record(entity, rules, tuple(items))

    def _item(
        self,
        entity: Entity,
        key: str,
        nodes: Sequence[FieldNode],
        path: Path,
        rules: frozenset[str] | None,
    ) -> Item:
        name, location = nodes[0].name.value, location_of(nodes[0])
        if name == "__typename":
            return Constant(key, entity.name)
        field = entity.fields[name]
        decision = self.judge.cell(field, path, location)
        if decision is None:
            return Constant(key, None)
        match field.source:
            case Scalar() | Keys():
                return Value(key, field, decision)
            case ValueObject() | Listed():
                return Value(key, field, decision, self._parts(field, nodes))
            case ToOne(target) | ToMany(target):
                return self._relation(key, entity, field, self.model.entities[target], nodes, path)

    def _parts(self, field: Field, nodes: Sequence[FieldNode]) -> tuple[tuple[str, str | Constant], ...]:
        match field.source:
            case Listed(of=kind):
                pass
            case ValueObject(compared=str()):
                kind = "Money"
            case _:
                kind = "Address"
        fields = self.selections.below(nodes, frozenset({kind}))
        return tuple(
            (key, Constant(key, kind) if below[0].name.value == "__typename" else below[0].name.value)
            for key, below in fields.items()
        )

    def _relation(
        self,
        key: str,
        parent: Entity,
        field: Field,
        entity: Entity,
        nodes: Sequence[FieldNode],
        path: Path,
    ) -> Item:
        rules = self.judge.target(entity, field.coordinate, path, location_of(nodes[0]))
        if rules is None:
            return Constant(key, None)
        same = self.judge.grants.type_access(parent.name) == Rows(rules) and self.scope is Scope.ACCOUNT
        # INVARIANT: a rule speaks of a customer, an order or a delivery; where the related row is of the
        # same ones by a foreign key, the parent's rule holds for it and is not asked again. A token of one
        # order is narrower: the order's customer is not a part of the order.
        needed = None if field.same_customer and same else rules
        if isinstance(field.source, ToMany):
            return ToManyPage(key, field, self._connection(entity, needed, rules, nodes, path))
        return ToOneRecord(key, field, self.record(entity, needed, nodes, path))

    # ------------------------------------------------------------ connections

    def _connection(
        self,
        entity: Entity,
        needed: frozenset[str] | None,
        rules: frozenset[str],
        nodes: Sequence[FieldNode],
        path: Path,
    ) -> Connection:
        given = Arguments(nodes[0], self.trees)
        conditions = Conditions(self.judge, self.model.entities, path, location_of(nodes[0]), self.settings)
        where, order = given.get("where"), given.get("orderBy")
        planned_where = None if where is None else conditions.where(entity, where)
        planned_order = () if order is None else conditions.order(entity, order)
        fields = self.selections.below(nodes, frozenset({f"{entity.name}Connection"}))
        items = (self._connection_item(entity, key, below, path) for key, below in fields.items())
        return Connection(
            entity=entity,
            rules=needed,
            where=planned_where,
            order=planned_order,
            page=self._page(entity, given),
            items=tuple(items),
            cursor_rules=rules,
        )

    def _connection_item(
        self, entity: Entity, key: str, nodes: Sequence[FieldNode], path: Path
    ) -> ConnectionItem:
        match nodes[0].name.value:
            case "nodes":
                return Nodes(key, self.record(entity, None, nodes, path.child(key, is_list=True)))
            case "edges":
                return self._edges(entity, key, nodes, path.child(key, is_list=True))
            case "pageInfo":
                return self._page_info(key, nodes)
            case "totalCount":
                return TotalCount(key)
            case _:
                return Constant(key, f"{entity.name}Connection")

    def _edges(self, entity: Entity, key: str, nodes: Sequence[FieldNode], path: Path) -> Edges:
        items: list[tuple[str, Record | Constant | None]] = []
        for name, below in self.selections.below(nodes, frozenset({f"{entity.name}Edge"})).items():
            match below[0].name.value:
                case "cursor":
                    items.append((name, None))
                case "node":
                    items.append((name, self.record(entity, None, below, path.child(name))))
                case _:
                    items.append((name, Constant(name, f"{entity.name}Edge")))
        return Edges(key, tuple(items))

    def _page_info(self, key: str, nodes: Sequence[FieldNode]) -> PageInfo:
        fields = self.selections.below(nodes, frozenset({"PageInfo"}))
        return PageInfo(
            key,
            tuple(
                (
                    name,
                    Constant(name, "PageInfo")
                    if below[0].name.value == "__typename"
                    else PageField(below[0].name.value),
                )
                for name, below in fields.items()
            ),
        )

    def _page(self, entity: Entity, given: Arguments) -> Page:
        first, last = given.get("first"), given.get("last")
        if first is not None and last is not None:
            raise fault(Code.BAD_PAGE, "give `first` or `last`, not both", given.location)
        size = self.settings.page_default
        for name, tree in (("first", first), ("last", last)):
            if isinstance(tree, Leaf):
                size = self._page_size(name, tree)
        reading = Reading(Code.BAD_CURSOR, frozenset({entity.name}))
        return Page(
            size,
            backward=last is not None,
            after=_cursor(given.get("after"), given.location, reading),
            before=_cursor(given.get("before"), given.location, reading),
        )

    def _page_size(self, name: str, leaf: Leaf) -> int:
        size = literal(leaf, Kind.INTEGER)
        if not isinstance(size, int) or not 1 <= size <= self.settings.page_limit:
            raise fault(Code.BAD_PAGE, f"`{name}` is between 1 and {self.settings.page_limit}", leaf.location)
        return size


def _cursor(tree: Tree, location: Location | None, reading: Reading) -> Operand | None:
    return None if tree is None else operand(tree, Kind.STRING, location, reading)
