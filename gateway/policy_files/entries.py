"""Strict reading of YAML: every key known, every value of its type, nothing twice, nothing empty.

Takes a file of `policies/`. Gives `Entry` values. Rejects with `PolicyError` naming file and entry.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from ..errors import PolicyError

Choice = TypeVar("Choice", bound=StrEnum)


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True, slots=True)
class Entry:
    """One mapping of a file, read key by key; `place` names file and entry."""

    place: str
    values: Mapping[str, object]

    def fail(self, problem: str) -> NoReturn:
        """Raises `PolicyError` for this entry."""
        raise PolicyError(f"{self.place}: {problem}")

    def has(self, key: str) -> bool:
        """Whether an optional key is there."""
        return key in self.values

    def text(self, key: str) -> str:
        """A text that is not empty and neither begins nor ends with a space."""
        value = self.values[key]
        if not isinstance(value, str) or not value or value != value.strip():
            self.fail(f"`{key}` is a text, in one piece and not empty")
        return value

    def long_text(self, key: str) -> str:
        """A text of several lines, kept with the line break that ends it."""
        value = self.values[key]
        if not isinstance(value, str) or not value.strip():
            self.fail(f"`{key}` is a text and not empty")
        return value

    def optional_text(self, key: str) -> str | None:
        """A text, or none where the key is left out."""
        return self.text(key) if self.has(key) else None

    def flag(self, key: str) -> bool:
        """`true` or `false`, never left out."""
        value = self.values[key]
        if not isinstance(value, bool):
            self.fail(f"`{key}` is `true` or `false`")
        return value

    def choice(self, key: str, kind: type[Choice]) -> Choice:
        """A member of a closed list."""
        return self._member(key, self.text(key), kind)

    def choices(self, key: str, kind: type[Choice]) -> tuple[Choice, ...]:
        """Members of a closed list, at least one."""
        return tuple(self._member(key, text, kind) for text in self.texts(key))

    def texts(self, key: str, *, may_be_empty: bool = False) -> tuple[str, ...]:
        """A list of texts, none of them twice."""
        value = self.values[key]
        if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
            self.fail(f"`{key}` is a list of texts")
        if not value and not may_be_empty:
            self.fail(f"`{key}` is empty")
        if doubled := [one for place, one in enumerate(value) if one in value[:place]]:
            self.fail(f"`{key}` has `{doubled[0]}` twice")
        return tuple(value)

    def entry(self, key: str, required: Collection[str]) -> Entry:
        """A mapping inside this one."""
        return read_entry(self.values[key], f"{self.place}: `{key}`", required)

    def entries(self, key: str, required: Collection[str]) -> Mapping[str, Entry]:
        """A list of mappings inside this one, by the value of their first required key."""
        return _named(self.values[key], f"{self.place}: `{key}`", tuple(required), ())

    def _member(self, key: str, text: str, kind: type[Choice]) -> Choice:
        if text not in tuple(kind):
            self.fail(f"`{key}` is one of {', '.join(kind)}")
        return kind(text)


def read_entry(found: object, place: str, required: Collection[str], optional: Collection[str] = ()) -> Entry:
    """A mapping that has all required keys and no unknown one."""
    if not isinstance(found, dict):
        raise PolicyError(f"{place}: this is a mapping with {', '.join(f'`{key}`' for key in required)}")
    for key in required:
        if key not in found:
            raise PolicyError(f"{place}: `{key}` is missing")
    if unknown := [key for key in found if key not in {*required, *optional}]:
        raise PolicyError(f"{place}: unknown key `{unknown[0]}`")
    return Entry(place, found)


def read_mapping(path: Path, required: Collection[str], optional: Collection[str] = ()) -> Entry:
    """A file that is one mapping."""
    return read_entry(_read_yaml(path), str(path), required, optional)


def read_list(path: Path, required: tuple[str, ...], optional: Collection[str] = ()) -> Mapping[str, Entry]:
    """A file that is a list of mappings, by the value of their first required key, in the file's order."""
    return _named(_read_yaml(path), str(path), required, optional)


def _named(
    found: object, place: str, required: tuple[str, ...], optional: Collection[str]
) -> Mapping[str, Entry]:
    if not isinstance(found, list) or not found:
        raise PolicyError(f"{place}: this is a list of entries, at least one")
    entries: dict[str, Entry] = {}
    for number, one in enumerate(found, 1):
        entry = read_entry(one, f"{place}: entry {number}", required, optional)
        name = entry.text(required[0])
        if name in entries:
            entry.fail(f"`{name}` stands twice")
        entries[name] = Entry(f"{place}: `{name}`", entry.values)
    return entries


def _read_yaml(path: Path) -> object:
    try:
        found: object = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a SafeLoader
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        where = getattr(getattr(error, "problem_mark", None), "line", None)
        line = "" if where is None else f":{where + 1}"
        problem = getattr(error, "problem", None) or "the file is missing or not readable as YAML in UTF-8"
        raise PolicyError(f"{path}{line}: {problem}") from error
    if not found:
        raise PolicyError(f"{path}: the file is empty")
    return found
