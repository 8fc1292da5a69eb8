"""Requests that want to be told what is nobody's business."""

from __future__ import annotations

from tests.test_attacks_denial import nested

from .check import FINE, INVALID, JSON, REQUEST, VARIABLE, WHERE, Check, asked, by_url

LEAKS: dict[str, Check] = {
    **{
        f"a misspelt {what}": asked(document, code, never=(right,))
        for what, document, code, right in (
            ("root field", "{ custmers { nodes { id } } }", INVALID, "customers"),
            ("field", "{ orders { nodes { custmer { id } } } }", INVALID, "`customer`"),
            ("argument", "{ orders(wher: {}) { totalCount } }", INVALID, "where`"),
            ("type", "{ ... on Qery { __typename } }", INVALID, "`Query`"),
            ("input field", "{ orders(where: {numbr: {eq: 1}}) { totalCount } }", INVALID, "`number`"),
            ("enum value", "{ orders(where: {status: {eq: PIKING}}) { totalCount } }", INVALID, "PICKING"),
            ("directive", "{ __typename @skp(if: true) }", INVALID, "`skip`"),
            ("fragment", "{ ...Abd } fragment Abc on Query { __typename }", INVALID, "Did you"),
            (
                "variable's type",
                "query($a: OrderWher) { orders(where: $a) { totalCount } }",
                INVALID,
                "OrderWhere`",
            ),
        )
    },
    "a misspelt input field in a variable": asked(
        WHERE, VARIABLE, variables={"w": {"numbr": {"eq": "x"}}}, never=("number",)
    ),
    "a misspelt enum value in a variable": asked(
        WHERE, VARIABLE, variables={"w": {"status": {"eq": "PIKING"}}}, never=("PICKING", "PIKING")
    ),
    "a missing argument": asked("{ node { id } }", INVALID),
    "a missing input": asked("mutation { signIn { __typename } }", INVALID),
    "a value of the wrong type": asked(
        '{ orders(first: "canary") { totalCount } }', INVALID, never=("canary",)
    ),
    "circular introspection": asked(
        "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }", INVALID
    ),
    "introspection of everything, deeper than anybody asks": asked(
        "{ __schema { types { " + nested(12, "possibleTypes { ", "name", " }") + " } } }", INVALID
    ),
    "what strangers see of employees": asked(
        '{ __type(name: "Employee") { name fields { name } } }', as_="anonymous", never=("workEmail",)
    ),
    "what strangers see of the schema": asked(
        "{ __schema { types { name } } }",
        as_="anonymous",
        never=("Designation", "PartnerToken"),
    ),
    "what a customer sees of the schema": asked(
        "{ __schema { mutationType { fields { name } } } }",
        never=("issuePartnerToken", "discloseToAuthority"),
    ),
    "introspection as a way round a refusal": asked(
        "{ __schema { queryType { name } } employees { nodes { workEmail } } }",
        "FIELD_FORBIDDEN",
        never=("@",),
    ),
    **{
        f"a trace by {name}": Check(
            (), FINE, headers={**JSON, name: value}, never=("tracing", "extensions", "duration")
        )
        for name, value in (
            ("apollo-tracing", "1"),
            ("x-apollo-tracing", "1"),
            ("apollo-federation-include-trace", "ftv1"),
            ("apollo-query-plan-experimental", "1"),
            ("x-debug", "true"),
            ("x-forwarded-for", "127.0.0.1"),
        )
    },
    "a trace by extension": asked(
        "{ __typename }", extensions={"tracing": True, "debug": True, "explain": True}, never=("extensions",)
    ),
    "a trace by URL": by_url(query="{ __typename }", debug="1", trace="1"),
    **{
        f"nothing at {path}": Check(
            (REQUEST,),
            None,
            "GET",
            {},
            path=path,
            statuses=(404,),
            never=("graphiql", path.strip("/") or "-"),
        )
        for path in (
            "/graphiql",
            "/playground",
            "/altair",
            "/voyager",
            "/graphql/console",
            "/.env",
            "/debug",
            "/docs",
            "/openapi.json",
            "/admin",
            "/graphql/../.env",
            "/%2e%2e/etc/passwd",
        )
    },
    "SQL in a text": asked(
        "query($n: String) { order(number: $n) { id } }",
        variables={"n": "' OR 1=1; DROP TABLE orders; --"},
        never=("DROP",),
    ),
    "SQL in an alias": asked("{ viewer { a__sql: role } }"),
    "a field that is refused, by another name": asked(
        "{ customers { nodes { firstName: internal } } }", INVALID, never=("Did you",)
    ),
    "a cursor that is none": asked('{ orders(after: "x") { nodes { id } } }', "BAD_CURSOR"),
}
