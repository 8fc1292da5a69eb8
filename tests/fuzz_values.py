"""Values that break things: JSON, GraphQL literals, ids and cursors, as texts and as strategies."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from hypothesis import strategies as st

# Numbers as JSON and GraphQL may write them, and some that neither may.
NUMBERS = ["0", "-0", "-1", "1", "101", "1.0", "2147483647", "2147483648", "-2147483649", "9007199254740993"]
NUMBERS += ["9223372036854775808", "18446744073709551616", "1e3", "1E+2", "1e400", "-1e400", "1e-400"]
NUMBERS += [
    "9" * 400,
    "1" + "0" * 5000,
    "0." + "1" * 3000,
    "1e999999999",
    "NaN",
    "Infinity",
    "01",
    "1e",
    "+1",
]
TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    "\ufeff",
    "\u202eabc",
    "e\u0301" * 40,
    "ﷺ" * 500,
    "💥",
    "\x7f\x1b[2J",
    "a" * 70_000,
]
TEXTS += [
    "'; DROP TABLE customer; --",
    "$1",
    "%s%n%d",
    "{0.__class__}",
    "${jndi:x}",
    "\\",
    '"',
    "\\u0000",
    "*/",
]
TEXTS += [
    "1e1000000",
    "NaN",
    "-Infinity",
    "-0.000000",
    "9" * 40,
    "0.0000001",
    "1,5",
    "٣",
    "\uff11\uff12.50",
    "1_000",
]
TEXTS += ["0000-00-00T00:00:00Z", "9999-12-31T23:59:60Z", "1900-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z"]
TEXTS += ["2999-12-31T23:59:59.999999-12:00", "2026-06-15T12:00:00+99:99", "2026-06-15", "EUR", "eur", "ẞẞẞ"]
TEXTS += ["fi", "FI", "+358 40 123", "a@b", "a@store.example", "FI21 1234 5600 0007 85", "10.0.0.0/8", "::/0"]
TEXTS += ["Customer.email", "Query.customers", "crp_" + "0" * 72, "null", "__proto__", "constructor"]
UNPAIRED = ['"\\ud800"', '"\\udfff\\ud800"', '"\\ud83d"', '"\\uD800\\u0041"']
UNKNOWN = "00000000-0000-4000-8000-000000000000"
KINDS = (
    "Customer",
    "Order",
    "Delivery",
    "Return",
    "Carrier",
    "AccessRecord",
    "Query",
    "Money",
    "",
    "customer",
)


def ids(known: Sequence[str]) -> st.SearchStrategy[str]:
    """Global ids and cursors: of rows, of none, and of some that are nearly ones."""
    made = [
        f"{kind}:{key}" for kind in KINDS for key in (UNKNOWN, "", UNKNOWN.upper(), "1", "\0", UNKNOWN * 9)
    ]
    coded = [base64.b64encode(text.encode()).decode() for text in made]
    coded += ["=", "====", "a===", base64.b64encode(b"\xff\xfe:\xff").decode(), "a" * 5000, UNKNOWN]
    return st.one_of(st.sampled_from([*known, *coded]), st.sampled_from(list(known) or coded).flatmap(_bent))


def _bent(text: str) -> st.SearchStrategy[str]:
    """An id with one thing changed."""
    ways = [
        text.rstrip("="),
        text + "=",
        f" {text}",
        text + "\n",
        text.swapcase(),
        text[:-3],
        text * 2,
        text[1:],
    ]
    ways += [text.replace("+", "-").replace("/", "_"), base64.b64encode(text.encode()).decode()]
    return st.sampled_from(ways)


def texts(known: Sequence[str]) -> st.SearchStrategy[str]:
    """Texts of all kinds, ids among them."""
    return st.one_of(st.sampled_from(TEXTS), ids(known), st.text(max_size=20))


def json_texts(known: Sequence[str]) -> st.SearchStrategy[str]:
    """JSON as text, mostly well formed: wrong shapes, extreme numbers, half surrogates, keys given twice."""
    leaves = st.one_of(
        st.sampled_from(["null", "true", "false", "{}", "[]"]),
        st.sampled_from(NUMBERS),
        texts(known).map(json.dumps),
        st.sampled_from(UNPAIRED),
    )
    return st.recursive(leaves, _around, max_leaves=12)


def _around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    keys = st.sampled_from(
        ["id", "input", "where", "and", "or", "not", "eq", "in", "email", "", "a", "__typename"]
    )
    entries = st.tuples(keys, inner).map(lambda pair: f"{json.dumps(pair[0])}: {pair[1]}")
    return st.one_of(
        st.lists(inner, max_size=4).map(lambda found: f"[{', '.join(found)}]"),
        st.lists(entries, max_size=4).map(lambda found: f"{{{', '.join(found)}}}"),
        st.tuples(inner, st.sampled_from([3, 30, 300, 3000, 30_000])).map(
            lambda pair: "[" * pair[1] + pair[0] + "]" * pair[1]
        ),
    )


def literals(known: Sequence[str]) -> st.SearchStrategy[str]:
    """GraphQL values as text: every kind, in and out of range."""
    leaves = st.one_of(
        st.sampled_from(
            ["null", "true", "ASC", "DESC", "DELIVERED", "{}", "[]", "$v", "$w", "$unknown", "@x"]
        ),
        st.sampled_from(NUMBERS),
        texts(known).map(json.dumps),
        st.sampled_from(
            [*UNPAIRED, '"""a"""', '"""\n"""', '"\\u{110000}"', '"\\u{1F4A5}"', '"\\u{0}"', '"a\nb"']
        ),
    )
    keys = st.sampled_from(
        ["id", "eq", "in", "and", "or", "not", "some", "none", "lt", "startsWith", "contains"]
    )

    def around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        entries = st.tuples(keys, inner).map(": ".join)
        return st.one_of(
            st.lists(inner, max_size=4).map(lambda found: f"[{' '.join(found)}]"),
            st.lists(entries, max_size=3).map(lambda found: f"{{{' '.join(found)}}}"),
            st.tuples(inner, st.sampled_from([5, 25, 150, 2000])).map(
                lambda pair: "[" * pair[1] + pair[0] + "]" * pair[1]
            ),
            st.tuples(inner, st.sampled_from([5, 25, 150, 2000])).map(
                lambda pair: "{not: " * pair[1] + pair[0] + "}" * pair[1]
            ),
        )

    return st.recursive(leaves, around, max_leaves=8)
