"""Generated operations: valid documents over the whole schema, with values out of the register's rows.

Here a selection is chosen, with one entry per response key; `generate_text` prints it. So every operation is
valid by construction. What the asker may do is chosen more often than what is refused, or few operations
would get as far as a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from graphql import GraphQLEnumType, get_named_type
from hypothesis import strategies as st

from tests.generate_text import Chosen, Name, Printing, Selection, Variables, literal, resolved
from tests.naive_query import LISTS, LOOKUPS, SCHEMA, TO_MANY, TO_ONE, Reader, global_id, relation_target
from tests.naive_rules import TABLES, Asker, Register, Row

EVERYTHING = Asker("privacy_officer", purpose="subject-rights")
ABSENT_ID = UUID("00000000-0000-4000-8000-000000000000")
LONG_KEY = "aVeryLongResponseKeyThatIsCutWhereIdentifiersMayHaveNoMoreThanSixtyThreeBytes"
CONNECTION_FIELDS = ["totalCount", *["nodes"] * 4, *["edges"] * 2, "pageInfo", "__typename"]
DEPTH = 4
ROWS = 125  # how many rows of the innermost lists one root field may ask for


def operations(world: Any, asker: Asker | None = None) -> st.SearchStrategy[tuple[str, dict[str, Any], Any]]:
    """Documents with variables and operation name; with an asker also cursors, of rows this asker sees."""
    register = Register(world.first_rows(), asker or EVERYTHING, world.now)

    @st.composite
    def made(draw: Callable[[Any], Any]) -> tuple[str, dict[str, Any], str | None]:
        choice = Choice(draw, Reader(register), with_cursors=asker is not None)
        selection = choice.query()
        return Printing(draw, choice.variables).document(selection)

    return made()


class Choice:
    """Chooses what an operation selects, filters and sorts by."""

    def __init__(self, draw: Callable[[Any], Any], reader: Reader, *, with_cursors: bool) -> None:
        self._draw = draw
        self._reader = reader
        self._register = reader.register
        self._rights = reader.register.rights
        self._with_cursors = with_cursors
        self._may_vary = True
        self.variables = Variables(draw)

    def query(self) -> Selection:
        """A selection of root fields."""
        reachable = [
            name for name, type_name in (LISTS | LOOKUPS).items() if self._rights.may_reach(type_name)
        ]
        names = self._several(
            [*reachable, *reachable, "node", "nodes"], [*LISTS, *LOOKUPS, "node", "__typename"], 3
        )
        fields: list[Chosen] = []
        for name in names:
            fields.append(self._root(name, self._key("Query", name, fields)))
        return Selection("Query", fields)

    def _of(self, options: list[Any]) -> Any:
        return self._draw(st.sampled_from(options))

    def _once_in(self, count: int) -> bool:
        return self._draw(st.integers(1, count)) == count

    def _several(self, usual: list[str], all_names: list[str], most: int) -> list[str]:
        """A few names, mostly of the usual ones."""
        weighted = usual * (5 * len(all_names) // len(usual)) if usual else []
        return self._draw(st.lists(st.sampled_from([*weighted, *all_names]), min_size=1, max_size=most))

    def _key(self, type_name: str, name: str, taken: list[Chosen]) -> str:
        """A response key that is free: the name, an alias, or an alias that is another field's name."""
        style = self._draw(st.integers(0, 15))
        key = name
        if style == 13:
            key = f"{LONG_KEY}{len(taken)}"
        elif style == 14:
            key = "alias"
        elif style == 15:
            key = self._of(list(SCHEMA.type_map[type_name].fields))
        while key in {each.key for each in taken}:
            key = f"{key}{len(taken)}"
        return key

    def _row(self, type_name: str) -> Row | None:
        """A row, mostly one the asker sees; or none."""
        rows = self._register.visible_rows(type_name)
        if self._once_in(4):
            rows = list(self._register.rows[type_name].values())
        return self._of(rows) if rows and not self._once_in(15) else None

    def _root(self, name: str, key: str) -> Chosen:
        if name == "__typename":
            return Chosen(key, name)
        if name in LISTS:
            target = LISTS[name]
            rows = list(self._register.rows[target].values())
            return self._connection(key, name, target, rows, DEPTH, ROWS)
        if name in LOOKUPS:
            return self._look_up(key, name, LOOKUPS[name])
        if name == "node":
            type_name, text, row = self._node_id()
            argument = literal(self.variables.perhaps(text, "ID!"))
            selection = self._behind_node([type_name], row)
            return Chosen(key, name, f"(id: {argument})", selection)
        ids = [self._node_id() for _ in range(self._draw(st.integers(0, 4)))]
        argument = literal(self.variables.perhaps([text for _, text, _ in ids], "[ID!]!"))
        types = list(dict.fromkeys(type_name for type_name, _, _ in ids))
        return Chosen(key, name, f"(ids: {argument})", self._behind_node(types, None))

    def _node_id(self) -> tuple[str, str, Row | None]:
        reachable = [type_name for type_name in TABLES if self._rights.may_reach(type_name)]
        type_name = self._of(reachable if reachable and not self._once_in(12) else list(TABLES))
        row = self._row(type_name)
        return type_name, global_id(type_name, row["id"] if row else ABSENT_ID), row

    def _behind_node(self, types: list[str], row: Row | None) -> Selection:
        """A selection on `Node`; each response key stands in one branch only."""
        fields = [Chosen(name, name) for name in self._draw(st.sampled_from([["id"], ["__typename", "id"]]))]
        if self._once_in(4):
            types = list(dict.fromkeys([*types, self._of(list(TABLES))]))
        branches: list[Selection] = []
        for type_name in types:
            taken = [*fields, *(each for branch in branches for each in branch.fields)]
            known = row if type_name == types[0] else None
            branches.append(self._entity(type_name, DEPTH, ROWS, known, taken))
        return Selection("Node", fields, branches)

    def _look_up(self, key: str, name: str, target: str) -> Chosen:
        arguments = SCHEMA.query_type.fields[name].args
        usual = [each for each in arguments if self._rights.may_filter(target, each, {"eq"})]
        argument = self._of(usual if usual and not self._once_in(8) else list(arguments))
        row = self._row(target)
        value = self._reader.plain(target, argument, row) if row else None
        if argument == "id":
            value = global_id(target, value or ABSENT_ID)
        value = value or "absent"
        found = self._reader.look_up(target, {argument: value})
        shown = literal(self.variables.perhaps(value, str(arguments[argument].type)))
        return Chosen(key, name, f"({argument}: {shown})", self._entity(target, DEPTH, ROWS, found, []))

    def _entity(
        self, type_name: str, depth: int, budget: int, row: Row | None, taken: list[Chosen]
    ) -> Selection:
        """A selection on an entity, of which `row` may be the one row it is about."""
        names = [
            name
            for name in SCHEMA.type_map[type_name].fields
            if depth > 1 or relation_target(type_name, name) is None
        ]
        usual = [name for name in names if self._rights.may_read(f"{type_name}.{name}")]
        fields: list[Chosen] = []
        relations = [name for name in usual if relation_target(type_name, name)]
        for name in self._several([*usual, *relations, *relations, "__typename"], names, 5):
            key = self._key(type_name, name, [*taken, *fields])
            fields.append(self._field(key, type_name, name, depth, budget, row))
        return Selection(type_name, fields)

    def _field(self, key: str, type_name: str, name: str, depth: int, budget: int, row: Row | None) -> Chosen:
        target = relation_target(type_name, name)
        if (type_name, name) in TO_ONE:
            related = self._reader.related(type_name, name, row) if row else []
            return Chosen(
                key,
                name,
                selection=self._entity(target, depth - 1, budget, related[0] if related else None, []),
            )
        if (type_name, name) in TO_MANY:
            related = self._reader.related(type_name, name, row) if row else None
            return self._connection(key, name, target, related, depth - 1, budget)
        if name == "__typename":
            return Chosen(key, name)
        kind = get_named_type(SCHEMA.type_map[type_name].fields[name].type).name
        return Chosen(key, name, selection=self._parts(kind) if kind in VALUE_OBJECTS else None)

    def _parts(self, type_name: str) -> Selection:
        """A selection on a type that holds nothing but values."""
        fields: list[Chosen] = []
        for name in self._several([], [*SCHEMA.type_map[type_name].fields, "__typename"], 4):
            fields.append(Chosen(self._key(type_name, name, fields), name))
        return Selection(type_name, fields)

    def _connection(
        self, key: str, name: str, target: str, rows: list[Row] | None, depth: int, budget: int
    ) -> Chosen:
        """A connection; `rows` are those it lists before any condition, where that is one known list."""
        arguments, budget = self._arguments(target, rows, budget)
        fields: list[Chosen] = []
        type_name = f"{target}Connection"
        for each in self._several([], CONNECTION_FIELDS, 3):
            selection = None
            if each == "nodes":
                selection = self._entity(target, depth, budget, None, [])
            elif each == "edges":
                selection = self._edges(target, depth, budget)
            elif each == "pageInfo":
                selection = self._parts("PageInfo")
            fields.append(Chosen(self._key(type_name, each, fields), each, selection=selection))
        printed = ", ".join(f"{each}: {literal(value)}" for each, value in arguments.items())
        return Chosen(key, name, f"({printed})" if printed else "", Selection(type_name, fields))

    def _edges(self, target: str, depth: int, budget: int) -> Selection:
        fields: list[Chosen] = []
        for each in self._several([], ["node", "node", "cursor", "__typename"], 2):
            selection = self._entity(target, depth, budget, None, []) if each == "node" else None
            fields.append(Chosen(self._key(f"{target}Edge", each, fields), each, selection=selection))
        return Selection(f"{target}Edge", fields)

    def _arguments(self, target: str, rows: list[Row] | None, budget: int) -> tuple[dict[str, Any], int]:
        """A connection's arguments, and what they leave of the budget of rows."""
        arguments: dict[str, Any] = {}
        if self._once_in(2):
            arguments["where"] = self._whole(lambda: self.where(target, 2), f"{target}Where")
        if self._once_in(3):
            arguments["orderBy"] = self._whole(lambda: self._order_by(target), f"[{target}OrderBy!]")
        size_name, cursor_name = self._of([("first", "after"), ("last", "before")])
        size = 20
        if size_name == "last" or budget < size or not self._once_in(4):
            size = self._draw(st.integers(1, min(5, budget)))
            arguments[size_name] = self.variables.perhaps(size, "Int")
        elif self._once_in(2):
            arguments[size_name] = self.variables.absent("Int")
        if self._with_cursors and rows is not None and self._once_in(2):
            listed = self._reader.listed(target, rows, resolved(arguments))
            if listed:
                cursor = global_id(target, self._of(listed)["id"])
                arguments[cursor_name] = self.variables.perhaps(cursor, "String")
        return arguments, budget // size

    def _whole(self, choose: Callable[[], Any], type_text: str) -> Any:
        """An input object or list: with variables in it, or perhaps a variable itself."""
        if self._once_in(2):
            return choose()
        self._may_vary = False
        value = self.variables.perhaps(choose(), type_text)
        self._may_vary = True
        return value

    def _order_by(self, type_name: str) -> list[dict[str, Any]]:
        names = list(SCHEMA.type_map[f"{type_name}OrderBy"].fields)
        usual = [name for name in names if self._rights.may_sort(type_name, name)]
        directions = [Name("ASC"), Name("DESC")]
        if self._once_in(12):
            return []
        return [
            {name: self._leaf(self._of(directions), "Direction")} for name in self._several(usual, names, 3)
        ]

    def where(self, type_name: str, depth: int) -> dict[str, Any]:
        """Conditions on a type, `depth` levels deep."""
        if self._once_in(12):
            return {}
        names = []
        for name in SCHEMA.type_map[f"{type_name}Where"].fields:
            if depth or not (name in ("and", "or", "not") or relation_target(type_name, name)):
                names.append(name)
        usual = [name for name in names if self._is_usual_condition(type_name, name)]
        relations = [name for name in usual if relation_target(type_name, name)]
        chosen = dict.fromkeys(self._several([*usual, *relations, *relations], names, 2))
        return {name: self._condition(type_name, name, depth) for name in chosen}

    def _is_usual_condition(self, type_name: str, name: str) -> bool:
        if name in ("and", "or", "not"):
            return True
        if target := relation_target(type_name, name):
            return self._rights.may_filter_through(type_name, name, target)
        return self._rights.may_sort(type_name, name)

    def _condition(self, type_name: str, name: str, depth: int) -> Any:
        if name in ("and", "or"):
            return [self.where(type_name, depth - 1) for _ in range(self._draw(st.integers(0, 2)))]
        if name == "not":
            return self.where(type_name, depth - 1)
        target = relation_target(type_name, name)
        if (type_name, name) in TO_ONE:
            return self.where(target, depth - 1)
        if (type_name, name) in TO_MANY:
            quantifiers = self._of([["some"], ["none"], ["none", "some"], []])
            return {quantifier: self.where(target, depth - 1) for quantifier in quantifiers}
        operators = get_named_type(SCHEMA.type_map[f"{type_name}Where"].fields[name].type).fields
        return {
            operator: self._operand(type_name, name, operator, operators[operator].type)
            for operator in dict.fromkeys(self._several([], list(operators), 2))
        }

    def _leaf(self, value: Any, type_text: str) -> Any:
        return self.variables.perhaps(value, type_text) if self._may_vary else value

    def _operand(self, type_name: str, name: str, operator: str, wanted: Any) -> Any:
        if operator == "in":
            count = self._draw(st.integers(0, 3))
            values = [self._value(type_name, name, get_named_type(wanted)) for _ in range(count)]
            return self._leaf(values, str(wanted))
        if operator == "contains":
            row = self._row(type_name)
            held = self._reader.plain(type_name, name, row) if row else []
            value = self._of(held or [global_id("Customer", ABSENT_ID)])
            return self._leaf(value, str(wanted))
        value = self._draw(st.booleans()) if operator == "isNull" else None
        if value is None:
            value = self._value(type_name, name, get_named_type(wanted))
        if operator == "startsWith":
            value = value[: self._draw(st.integers(0, 6))]
            value = self._of([value, value.swapcase(), value[:-1] + "_", "%" + value])
        return self._leaf(value, str(wanted))

    def _value(self, type_name: str, name: str, kind: Any) -> Any:
        """A value to compare with: mostly one that stands in the register."""
        if isinstance(kind, GraphQLEnumType):
            return Name(self._of(list(kind.values)))
        row = self._row(type_name)
        value = self._reader.plain(type_name, name, row) if row else None
        match value:
            case UUID():
                return global_id(type_name, value)
            case datetime():
                there = timezone(timedelta(hours=self._of([0, 2, -7])))
                text = value.astimezone(there).isoformat(timespec="microseconds")
                return text.replace("+00:00", "Z")
            case date():
                return value.isoformat()
            case Decimal():
                return self._of([f"{value:.2f}", f"{value:.4f}", f"{value:.0f}", int(value)])
            case None if kind.name == "ID":
                return global_id(type_name, ABSENT_ID)
            case None:
                return ABSENT[kind.name]
            case _:
                return value


VALUE_OBJECTS = ("Money", "Address", "Retained")
ABSENT: Mapping[str, Any] = {
    "String": "absent%_\\",
    "Int": 7,
    "Decimal": "9.99",
    "Boolean": True,
    "DateTime": "2025-01-31T12:00:00Z",
    "Date": "2025-01-31",
}
