"""The statements of signing in: credentials, sessions, refresh tokens and one-time links.

Whoever calls is known by what they prove, a password or a secret, so that no row rule can be asked here.

# INVARIANT: rows are locked in this order: customer, credential, session, refresh token or link.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Text, Uuid, bindparam, insert, literal_column, or_, select, update
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


@lru_cache(maxsize=1)
def find_to_sign_in() -> Sql:
    """The credential that an `email` signs in with: the confirmed one, else the newest that can become it.

    Of those that are not confirmed only one of the address in the register counts: whoever gave another since
    is mailed nothing to the one before.
    """
    credential, customer = _table("credential"), _table("customer")
    shown = (credential.c.customer_id, credential.c.password_hash, credential.c.confirmed_at)
    query = select(*shown).join(customer, customer.c.id == credential.c.customer_id)
    query = query.where(
        credential.c.email == bindparam("email", type_=Text()),
        customer.c.erased_at.is_(None),
        or_(credential.c.confirmed_at.is_not(None), customer.c.email == credential.c.email),
    )
    order = (credential.c.confirmed_at.is_(None), credential.c.created_at.desc())
    return _sql(query.order_by(*order, credential.c.customer_id.desc()).limit(literal_column("1")))


@lru_cache(maxsize=2)
def find_credential(*, locks: bool) -> Sql:
    """The credential of a customer who is not erased; where it `locks`, it stays as it is."""
    return _sql(_credential(bindparam("customer_id", type_=Uuid()), locks=locks))


@lru_cache(maxsize=1)
def hold_credential_of_link() -> Sql:
    """The credential of the customer that the link with this `hash` was mailed to, locked.

    `registered_email` is the address in the register, not that of the credential.
    """
    link = _table("one_time_link")
    customer = select(link.c.customer_id).where(link.c.hash == bindparam("hash", type_=Text()))
    return _sql(_credential(customer.scalar_subquery(), locks=True))


def _credential(customer_id: Any, *, locks: bool) -> Any:
    credential, customer = _table("credential"), _table("customer")
    shown = (credential.c.customer_id, credential.c.email, credential.c.password_hash)
    query = (
        select(*shown, credential.c.confirmed_at, customer.c.email.label("registered_email"))
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
    """Ends a customer's sessions that live, and gives their ids.

    All but the one `spared`, or `only` one, or those of one `order`.
    """
    table = _table("session")
    only, spared, order = (bindparam(name, type_=Uuid()) for name in ("only", "spared", "order"))
    query = update(table).values(ended_at=_now(), ended_why=bindparam("why", type_=Text()))
    query = query.where(
        _is("session", "customer_id"),
        table.c.ended_at.is_(None),
        table.c.expires_at > _now(),
        or_(only.is_(None), table.c.id == only),
        table.c.id.is_distinct_from(spared),
        or_(order.is_(None), table.c.order_id == order),
    )
    return _sql(query.returning(table.c.id))


@lru_cache(maxsize=1)
def insert_order_session() -> Sql:
    """Keeps a session of an order; where it is not `wanted`, the same statement runs and keeps nothing."""
    moments = ("created_at", "last_refreshed_at", "expires_at")
    return _sql(_kept_where_wanted("session", "id", "customer_id", "order_id", *moments))


@lru_cache(maxsize=1)
def find_session() -> Sql:
    """The session of an `id`, where it lives; an erased customer has none."""
    session, customer = _table("session"), _table("customer")
    query = select(session.c.expires_at).join(customer, customer.c.id == session.c.customer_id)
    lives = (session.c.ended_at.is_(None), session.c.expires_at > _now(), customer.c.erased_at.is_(None))
    return _sql(query.where(_is("session", "id"), *lives))


# ------------------------------------------------------------ one-time links


@lru_cache(maxsize=1)
def insert_link() -> Sql:
    """Keeps a link; where it is not `wanted`, the same statement runs and keeps nothing."""
    names = ("hash", "customer_id", "kind", "email", "created_at", "expires_at")
    return _sql(_kept_where_wanted("one_time_link", *names))


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


@lru_cache(maxsize=1)
def void_links_elsewhere() -> Sql:
    """Makes a customer's open links good for nothing but those mailed to `email`; without one all of them."""
    table = _table("one_time_link")
    query = update(table).values(used_at=_now())
    elsewhere = table.c.email.is_distinct_from(bindparam("email", type_=Text()))
    return _sql(query.where(_is("one_time_link", "customer_id"), table.c.used_at.is_(None), elsewhere))


def _table(name: str) -> Any:
    return SQLModel.metadata.tables[name]


def _kept_where_wanted(table: str, *names: str) -> Any:
    of = _table(table)
    kept = select(*(bindparam(name, type_=of.c[name].type) for name in names))
    return insert(of).from_select(list(names), kept.where(bindparam("wanted", type_=Boolean())))


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
