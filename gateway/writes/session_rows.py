"""The statements of signing in: credentials, sessions, refresh tokens and one-time links.

Whoever calls is known by what they prove, a password or a secret, so that no row rule can be asked here.

# INVARIANT: rows are locked in this order: customer, credential, session, refresh token or link.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Text, Uuid, bindparam, insert, or_, select, update
from sqlmodel import SQLModel

from ..statements.bound import compiled
from .rows import Sql


@lru_cache(maxsize=1)
def find_confirmed() -> Sql:
    """The credential that is confirmed for an `email`; an erased customer has none."""
    credential, customer = _table("credential"), _table("customer")
    query = select(credential.c.customer_id, credential.c.password_hash).join(
        customer, customer.c.id == credential.c.customer_id
    )
    return _sql(
        query.where(
            credential.c.email == bindparam("email", type_=Text()),
            credential.c.confirmed_at.is_not(None),
            customer.c.erased_at.is_(None),
        )
    )


@lru_cache(maxsize=2)
def find_credential(*, locks: bool) -> Sql:
    """The credential of a customer who is not erased; where it `locks`, it stays as it is."""
    return _sql(_credential(bindparam("customer_id", type_=Uuid()), locks=locks))


@lru_cache(maxsize=1)
def hold_credential_of_link() -> Sql:
    """The credential of the customer that the link with this `hash` was mailed to, locked."""
    link = _table("one_time_link")
    customer = select(link.c.customer_id).where(link.c.hash == bindparam("hash", type_=Text()))
    return _sql(_credential(customer.scalar_subquery(), locks=True))


def _credential(customer_id: Any, *, locks: bool) -> Any:
    credential, customer = _table("credential"), _table("customer")
    shown = (credential.c.customer_id, credential.c.email, credential.c.password_hash)
    query = (
        select(*shown, credential.c.confirmed_at)
        .join(customer, customer.c.id == credential.c.customer_id)
        .where(credential.c.customer_id == customer_id, customer.c.erased_at.is_(None))
    )
    return query.with_for_update(of=credential, key_share=True) if locks else query


@lru_cache(maxsize=1)
def set_password() -> Sql:
    """Gives a customer's credential another hash."""
    return _sql(_changed("credential", "password_hash").where(_is("credential", "customer_id")))


@lru_cache(maxsize=1)
def confirm_address() -> Sql:
    """Makes an address the confirmed one of a credential; another's is a `DatabaseDuplicate`."""
    table = _table("credential")
    query = update(table).values(email=bindparam("set_email", type_=Text()), confirmed_at=_now())
    return _sql(query.where(_is("credential", "customer_id")))


@lru_cache(maxsize=1)
def was_active() -> Sql:
    """Notes that a customer did something."""
    table = _table("customer")
    key = bindparam("customer_id", type_=Uuid())
    return _sql(update(table).values(last_active_at=_now()).where(table.c.id == key))


# ------------------------------------------------------------ sessions


@lru_cache(maxsize=1)
def hold_session_of_token() -> Sql:
    """The session of the refresh token with this `hash`, locked; an erased customer has none."""
    session, token, customer = _table("session"), _table("refresh_token"), _table("customer")
    of_token = select(token.c.session_id).where(token.c.hash == bindparam("hash", type_=Text()))
    query = (
        select(session.c.id, session.c.customer_id, session.c.expires_at, session.c.ended_at)
        .join(customer, customer.c.id == session.c.customer_id)
        .where(session.c.id == of_token.scalar_subquery(), customer.c.erased_at.is_(None))
    )
    return _sql(query.with_for_update(of=session, key_share=True))


@lru_cache(maxsize=1)
def use_refresh_token() -> Sql:
    """Uses a refresh token up, and gives its `expires_at`; without a row it was used before."""
    table = _table("refresh_token")
    query = update(table).values(used_at=_now())
    query = query.where(_is("refresh_token", "hash"), table.c.used_at.is_(None))
    return _sql(query.returning(table.c.expires_at))


@lru_cache(maxsize=1)
def note_refresh() -> Sql:
    """Notes that a session went on."""
    table = _table("session")
    return _sql(update(table).values(last_refreshed_at=_now()).where(_is("session", "id")))


@lru_cache(maxsize=1)
def end_sessions() -> Sql:
    """Ends a customer's sessions that live: all but the one `spared`, or `only` one; gives their ids."""
    table = _table("session")
    only, spared = bindparam("only", type_=Uuid()), bindparam("spared", type_=Uuid())
    query = update(table).values(ended_at=_now(), ended_why=bindparam("why", type_=Text()))
    query = query.where(
        _is("session", "customer_id"),
        table.c.ended_at.is_(None),
        table.c.expires_at > _now(),
        or_(only.is_(None), table.c.id == only),
        table.c.id.is_distinct_from(spared),
    )
    return _sql(query.returning(table.c.id))


# ------------------------------------------------------------ one-time links


@lru_cache(maxsize=1)
def insert_link() -> Sql:
    """Keeps a link; where it is not `wanted`, the same statement runs and keeps nothing."""
    table = _table("one_time_link")
    names = ("hash", "customer_id", "kind", "email", "created_at", "expires_at")
    kept = select(*(bindparam(name, type_=table.c[name].type) for name in names))
    kept = kept.where(bindparam("wanted", type_=Boolean()))
    return _sql(insert(table).from_select(list(names), kept))


@lru_cache(maxsize=1)
def use_link() -> Sql:
    """Uses a link of a `kind` up, and gives the address it was mailed to; without a row it is no good."""
    table = _table("one_time_link")
    query = update(table).values(used_at=_now())
    query = query.where(
        _is("one_time_link", "hash"),
        _is("one_time_link", "kind"),
        table.c.used_at.is_(None),
        table.c.expires_at > _now(),
    )
    return _sql(query.returning(table.c.email))


@lru_cache(maxsize=1)
def void_links() -> Sql:
    """Makes every open link of a customer good for nothing; the credential is locked before."""
    table = _table("one_time_link")
    query = update(table).values(used_at=_now())
    return _sql(query.where(_is("one_time_link", "customer_id"), table.c.used_at.is_(None)))


def _table(name: str) -> Any:
    return SQLModel.metadata.tables[name]


def _changed(table: str, *columns: str) -> Any:
    of = _table(table)
    return update(of).values({name: bindparam(f"set_{name}", type_=of.c[name].type) for name in columns})


def _is(table: str, column: str) -> Any:
    of = _table(table).c[column]
    return of == bindparam(column, type_=of.type)


def _now() -> Any:
    return bindparam("now", type_=_table("session").c.created_at.type)


def _sql(query: Any) -> Sql:
    return Sql(*compiled(query))
