"""The demonstration register: an embedded PostgreSQL and made-up data, for `gateway demo` and the tests."""
