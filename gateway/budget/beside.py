"""What is paid beside an operation's own cost: reading and planning what was not kept, and coercing."""

from __future__ import annotations

# Parsing and validating take 2 µs a character of a long document, and a millisecond of any.
READING, CHARACTER = 1000, 5
# Coercing variables takes 10 µs a value.
GIVEN = 20


def reading_cost(length: int) -> int:
    """What it costs to read a document of so many characters."""
    return READING + CHARACTER * length


def planning_cost(length: int) -> int:
    """What it costs to plan an operation of such a document: writing its SQL takes as long as reading it."""
    return reading_cost(length)


def most_beside(length: int, values: int) -> int:
    """What the longest document with the most variables costs at its first time."""
    return reading_cost(length) + values * GIVEN + planning_cost(length)
