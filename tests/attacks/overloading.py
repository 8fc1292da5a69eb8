"""Operations that are small on the wire and large to plan or to run; numbers that fit nowhere."""

from __future__ import annotations

from tests.test_attacks_denial import DIGITS, alternatives, chain, doubling, many, multiplying, nested

from .check import (
    ID,
    INVALID,
    PAGE,
    REQUEST,
    SYNTAX,
    TOO_COMPLEX,
    VARIABLE,
    WHERE,
    Check,
    asked,
    inside,
    sent,
    variables,
)

OVERLOADING: dict[str, Check] = {
    **{
        f"{count} aliases of a root field": asked("{ " + many(count, "a#: __typename") + " }", TOO_COMPLEX)
        for count in (51, 101, 1000, 3000)
    },
    "aliases in fragments": asked(
        "{ viewer { " + many(60, "...F") + " } } fragment F on Viewer { " + many(40, "a#: role") + " }",
        TOO_COMPLEX,
    ),
    "aliases of lists": asked("{ " + many(100, "a#: orders { totalCount }") + " }", TOO_COMPLEX),
    "aliases of counts": asked("{ orders { " + many(60, "a#: totalCount") + " } }", TOO_COMPLEX),
    "aliases of a change": asked(
        "mutation { "
        + many(30, 'a#: setMarketingConsent(input: {given: true, id: "x"}) { __typename }')
        + " }",
        TOO_COMPLEX,
        INVALID,
    ),
    "aliases of signing in": asked(
        "mutation { "
        + many(30, 'a#: signIn(input: {email: "a@store.example", password: "#"}) { __typename }')
        + " }",
        INVALID,
        as_="anonymous",
    ),
    "aliases of introspection": asked("{ " + many(20, "a#: __schema { types { name } }") + " }", TOO_COMPLEX),
    **{
        f"a field {count} times": asked("{ " + many(count, "__typename") + " }", TOO_COMPLEX)
        for count in (500, 1000, 3000)
    },
    "a field 500 times below": asked("{ viewer { " + many(500, "role") + " } }", TOO_COMPLEX),
    "an object 400 times": asked("{ " + many(400, "viewer { role }") + " }", TOO_COMPLEX),
    **{
        f"{count} unknown directives in a place": asked("{ __typename " + "@aa" * count + " }", TOO_COMPLEX)
        for count in (3, 10, 1000)
    },
    "100 known directives in a place": asked("{ __typename " + "@skip(if: false)" * 100 + " }", TOO_COMPLEX),
    "directives on fields": asked(
        "{ viewer { " + many(150, "a#: role @include(if: true)") + " } }", TOO_COMPLEX
    ),
    "directives on spreads": asked(
        "{ " + many(150, "...F @skip(if: false)") + " } fragment F on Query { __typename }", TOO_COMPLEX
    ),
    "directives on an operation": asked("query " + "@a" * 50 + " { __typename }", TOO_COMPLEX),
    "directives on variables": asked("query($a: Int " + "@a" * 50 + ") { __typename }", TOO_COMPLEX),
    **{
        f"a selection {4 * depth + 4} deep": asked(
            "{ orders { nodes " + nested(depth, "{ customer { orders { nodes ", "{ id }", "} } }") + "} }",
            *(TOO_COMPLEX, SYNTAX)[: 1 + (depth > 20)],
        )
        for depth in (7, 20, 100)
    },
    "a selection so deep that no parser reads it": asked(
        nested(3000, "{ ... ", "{ __typename }", "}"), SYNTAX, TOO_COMPLEX
    ),
    "depth in fragments": asked(multiplying(1, 8), TOO_COMPLEX),
    "a fragment in itself": asked("{ ...A } fragment A on Query { ...A __typename }", INVALID),
    **{
        f"a circle of {count} fragments": asked(chain(count, "f0"), INVALID, TOO_COMPLEX)
        for count in (2, 18, 600)
    },
    "a circle through fields": asked(
        "{ orders { nodes { ...O } } } fragment O on Order { customer { ...C } }"
        " fragment C on Customer { orders { nodes { ...O } } }",
        INVALID,
    ),
    **{
        f"fragments doubled {count} times": asked(doubling(count), TOO_COMPLEX)
        for count in (10, 35, 150, 300)
    },
    "fragments that multiply": asked(multiplying(20, 4), TOO_COMPLEX),
    "1,000 unused fragments": asked(
        "{ __typename } " + many(1000, "fragment f# on Query { __typename }"), INVALID, TOO_COMPLEX
    ),
    "200 operations": asked(many(200, "query q# { __typename }"), REQUEST),
    "an operation twice": asked("query a { __typename } query a { __typename }", INVALID, operationName="a"),
    "tokens": asked("{ " + many(4000, "a#: __typename") + " }", TOO_COMPLEX),
    "a long document": asked("{ __typename } #" + "x" * 150_000, TOO_COMPLEX),
    "a long document of commas": asked("{ __typename " + "," * 150_000 + "}", TOO_COMPLEX),
    "a long document in two-byte letters": asked("{ __typename } #" + "ä" * 60_000, TOO_COMPLEX),
    "a long name": asked("{ " + "a" * 90_000 + " }", INVALID, never=("a" * 1000,)),
    "a long text": asked('{ order(number: "' + "x" * 90_000 + '") { id } }'),
    "a long block": asked('{ order(number: """' + "x\n" * 40_000 + '""") { id } }'),
    "full pages in full pages": asked(
        "{ orders(first: 100) { nodes { lines(first: 100) { nodes { " + many(30, "q#: sku") + " } } } } }",
        TOO_COMPLEX,
    ),
    "sorts of the register": asked(
        "{ " + many(40, "a#: orders(orderBy: [{total: ASC}]) { nodes { id } }") + " }", TOO_COMPLEX
    ),
    **{
        f"first: {size}": asked(f"{{ orders(first: {size}) {{ nodes {{ id }} }} }}", PAGE)
        for size in (0, -1, 101, 2147483647)
    },
    "first: 2147483648": asked("{ orders(first: 2147483648) { nodes { id } } }", INVALID),
    "first in a variable": asked(
        "query($n: Int) { orders(first: $n) { nodes { id } } }", PAGE, variables={"n": 10_000}
    ),
    "first and last": asked("{ orders(first: 1, last: 1) { nodes { id } } }", PAGE),
    "ids": asked(
        "query($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        *(PAGE, ID, TOO_COMPLEX),
        variables={"ids": ["T3JkZXI6MDE5MGEwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAw"] * 3000},
    ),
    "conditions 30 deep": asked(
        f"{{ orders(where: {nested(30, '{not: ', '{}', '}')}) {{ nodes {{ id }} }} }}", TOO_COMPLEX
    ),
    "conditions 3,000 deep": asked(
        f"{{ orders(where: {nested(3000, '{not: ', '{}', '}')}) {{ nodes {{ id }} }} }}", SYNTAX
    ),
    **{
        f"conditions {depth} deep in a variable": asked(WHERE, TOO_COMPLEX, variables=inside(depth, key))
        for depth, key in ((40, "not"), (60, "not"), (200, "and"), (200, "or"))
    },
    "900 conditions": asked(
        f"query($v: [String!]) {{ orders(where: {alternatives('{number: {in: $v}}')}) {{ totalCount }} }}",
        *(TOO_COMPLEX,),
        variables={"v": ["x"]},
    ),
    "9,000 conditions in a variable": asked(
        WHERE, TOO_COMPLEX, variables={"w": {"or": [{"number": {"eq": "x"}}] * 9000}}
    ),
    "40,000 values in a variable": asked(
        WHERE, TOO_COMPLEX, variables={"w": {"number": {"in": ["x"] * 40_000}}}
    ),
    "20,001 variables nobody asks for": asked(
        "{ __typename }", TOO_COMPLEX, variables={f"v{number}": 1 for number in range(20_001)}
    ),
    "2,000 variables": asked(f"query({many(2000, '$v#: Int')}) {{ __typename }}", INVALID, TOO_COMPLEX),
    "lists in lists": asked(
        f"{{ orders(where: {{or: {nested(4000, '[', '', ']')}}}) {{ totalCount }} }}", SYNTAX
    ),
}

NUMBERS: dict[str, Check] = {
    "50,000 digits as Int": asked(f"{{ orders(first: {DIGITS}) {{ nodes {{ id }} }} }}", INVALID),
    "50,000 digits as Decimal": asked(
        f"{{ orders(where: {{total: {{eq: {DIGITS}}}}}) {{ totalCount }} }}", INVALID
    ),
    "50,000 digits as a text": asked(
        f'{{ orders(where: {{total: {{eq: "{DIGITS}"}}}}) {{ totalCount }} }}', INVALID
    ),
    "50,000 digits as Float": asked(
        f"{{ orders(where: {{total: {{eq: {DIGITS}e9}}}}) {{ totalCount }} }}", INVALID
    ),
    "50,000 digits as ID": asked(f"{{ node(id: {DIGITS}) {{ id }} }}", ID),
    "an exponent": asked("{ orders(where: {total: {eq: 1e400}}) { totalCount } }", INVALID),
    "50,000 digits in JSON": sent(
        variables(f'{{"w": {{"version": {{"eq": {DIGITS}}}}}}}'), VARIABLE, REQUEST, statuses=(200, 400)
    ),
    "an exponent in JSON": sent(
        variables('{"w": {"version": {"eq": 1e400}}}'), VARIABLE, REQUEST, statuses=(200, 400)
    ),
    "NaN": sent(variables('{"w": NaN}')),
    "infinity": sent(variables('{"w": -Infinity}')),
    "a fraction as Int": sent(variables('{"w": {"version": {"eq": 1.5}}}'), VARIABLE, statuses=(200,)),
    "2**63 as Int": sent(
        variables('{"w": {"version": {"eq": 9223372036854775808}}}'), VARIABLE, statuses=(200,)
    ),
}
