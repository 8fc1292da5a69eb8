"""The settings: one frozen object, read from the environment (`GATEWAY_…`); units stand in the names."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schema.formats import mailbox

from .errors import StartError
from .mail.server import read_server
from .policy import ROLES, STAFF, default_folder


class Settings(BaseSettings):
    """Every setting of the gateway; the README lists them, and a test holds that it does."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, extra="forbid")

    database_url: SecretStr = Field(description="where PostgreSQL is: `postgresql://…`")
    owner_database_url: SecretStr | None = Field(
        None, description="the same database as the owner of its tables, for `migrate` and `token`"
    )
    signing_key_file: Path | None = Field(
        None, description="the Ed25519 key that signs and verifies access tokens (PEM)"
    )
    former_key_files: tuple[Path, ...] = Field(
        (), description="former signing keys that still verify (PEM, private or public), as JSON"
    )
    issuer: str = Field("https://store.example/", description="`iss` of access tokens")
    audience: str = Field("customer-register", description="`aud` of access tokens")
    token_leeway_seconds: int = Field(5, ge=0, le=60, description="clock difference tolerated in tokens")
    principal_cache_seconds: float = Field(
        1.0,
        ge=0,
        le=1.5,
        description="how long a designation, subject, session or partner token is believed without asking",
    )
    oidc_issuer: str | None = Field(
        None, description="`iss` of the access tokens of the employees' identity provider"
    )
    oidc_audience: str | None = Field(None, description="`aud` of its access tokens for this gateway")
    oidc_jwks_url: str | None = Field(None, description="where it publishes its keys: `https://…`")
    customer_oidc_issuer: str | None = Field(
        None, description="`iss` of the access tokens of the customers' identity provider"
    )
    customer_oidc_audience: str | None = Field(
        None, description="`aud` of its access tokens for this gateway"
    )
    customer_oidc_jwks_url: str | None = Field(None, description="where it publishes its keys: `https://…`")
    oidc_algorithms: tuple[str, ...] = Field(
        ("EdDSA", "ES256", "RS256"),
        min_length=1,
        description="algorithms a provider's tokens may be signed with",
    )
    oidc_cache_seconds: float = Field(
        300, ge=1, le=86400, description="how long a provider's keys are used without asking again"
    )
    oidc_stale_seconds: float = Field(
        3600, ge=0, le=86400, description="how much longer they are used while it does not answer"
    )
    oidc_pause_seconds: float = Field(
        10, ge=1, le=600, description="how soon after it was asked it is asked again"
    )
    oidc_timeout_seconds: float = Field(3, gt=0, le=30, description="how long it may take to answer")
    policy_folder: Path = Field(default_factory=default_folder, description="the policy files")
    public_url: str = Field("https://store.example/", description="where the store reaches the gateway")

    pool_connections: int = Field(10, ge=1, description="connections per time-out class and worker")
    statement_timeout_seconds: float = Field(5, gt=0, description="time-out of a statement")
    statement_timeout_seconds_by_role: dict[str, float] = Field(
        dict.fromkeys(sorted(STAFF), 15.0), description="time-outs of single roles, as JSON"
    )

    operation_cache_bytes: int = Field(
        2_000_000,
        ge=1,
        description="text of the parsed documents kept per worker; in memory about 100 times that",
    )
    plan_cache_bytes: int = Field(8_000_000, ge=1, description="SQL of the plans kept per worker")
    principal_cache_entries: int = Field(10000, ge=1, description="verified tokens kept per worker")

    body_limit_bytes: int = Field(256 * 1024, ge=1024, description="largest request body, and message")
    token_limit: int = Field(10_000, ge=100, description="most lexical tokens of a document")
    depth_limit: int = Field(20, ge=3, description="deepest nesting of a document")
    repetition_limit: int = Field(
        100_000, ge=100, description="most pairs of equal response keys in a document"
    )
    field_limit: int = Field(
        4000, ge=100, description="most fields of a document with its fragments spread; an object counts 5"
    )
    condition_limit: int = Field(
        1000, ge=10, description="most conditions of an operation; one on a relation or a sort key counts 10"
    )
    listed_limit: int = Field(
        10_000, ge=100, description="most values in the lists of an operation's conditions"
    )
    cost_limit: int = Field(250_000, ge=100, description="most values an operation may ask for")
    mutation_limit: int = Field(10, ge=1, description="most changes of an operation")
    page_default: int = Field(20, ge=1, description="entries of a page when none are asked for")
    page_limit: int = Field(100, ge=1, description="most entries of a page")

    access_token_minutes: int = Field(15, ge=1, le=60, description="how long a customer's access token holds")
    session_days: int = Field(30, ge=1, le=365, description="how long a customer stays signed in at most")
    refresh_token_days: int = Field(
        14, ge=1, le=365, description="how long a session holds without a refresh"
    )
    confirmation_hours: int = Field(
        24, ge=1, le=168, description="how long a link to confirm an address holds"
    )
    password_reset_minutes: int = Field(
        60, ge=5, le=24 * 60, description="how long a link to set a new password holds"
    )
    password_reset_again_minutes: int = Field(
        5, ge=0, le=24 * 60, description="how soon such a link is mailed again to the same address"
    )
    throttle_account_limit: int = Field(
        10, ge=1, description="attempts at an account in a window and worker, known or not, of each kind"
    )
    throttle_client_limit: int = Field(
        100, ge=1, description="attempts of a client address in a window and worker, of all kinds"
    )
    throttle_window_seconds: int = Field(900, ge=1, description="how long attempts are counted together")

    order_token_days: int = Field(30, ge=1, le=365, description="how long a guest's token for an order holds")
    order_access_minutes: int = Field(
        5, ge=0, le=24 * 60, description="how soon a link to the same order is mailed again"
    )

    smtp_url: SecretStr | None = Field(
        None, description="the mail server: `smtp://…` or `smtps://…`; without one mail stays in its table"
    )
    mail_from: str = Field("no-reply@store.example", description="the address mail is sent from")

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="proxies that say from where a request comes, as JSON: networks in CIDR notation"
    )
    last_used_seconds: float = Field(
        60, gt=0, description="how often the last use of partner tokens is written down"
    )

    rotation_overlap_hours: int = Field(
        24, ge=0, le=168, description="how long a partner's former key holds beside the new one"
    )

    allowed_origins: tuple[str, ...] = Field(
        (), description="origins of other hosts whose pages may open a socket, as JSON"
    )
    live_connection_limit: int = Field(1000, ge=1, description="sockets and event streams of a worker")
    live_connections_per_principal: int = Field(
        20, ge=1, description="sockets and event streams of one principal in a worker"
    )
    live_operations_per_socket: int = Field(20, ge=1, description="operations under way on one socket")
    live_pending_limit: int = Field(
        100, ge=1, description="rows a subscription keeps in mind for a slow consumer"
    )
    live_init_timeout_seconds: float = Field(
        3, gt=0, description="how long a socket waits for `connection_init`"
    )
    live_send_timeout_seconds: float = Field(
        10, gt=0, description="how long a consumer may not take a message"
    )

    window_delivery_days: int = Field(90, ge=0, description="how long a carrier sees an ended delivery")
    window_address_days: int = Field(30, ge=0, description="how long it sees its name and address")
    window_contact_days: int = Field(3, ge=0, description="how long it sees its phone and e-mail")
    window_handed_over_days: int = Field(60, ge=0, description="when a handed-over delivery counts as ended")
    window_created_days: int = Field(120, ge=0, description="when a created delivery counts as ended")

    withdrawal_days: int = Field(
        14, ge=14, description="how long after a delivery one may withdraw; by law at least 14"
    )

    @field_validator("smtp_url")
    @classmethod
    def _is_server(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            read_server(url.get_secret_value())
        return url

    @field_validator("oidc_algorithms")
    @classmethod
    def _are_allowed(cls, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        allowed = ("EdDSA", "ES256", "RS256")
        if not set(algorithms) <= set(allowed):
            raise ValueError(f"an algorithm is one of {', '.join(allowed)}")
        return algorithms

    @field_validator("oidc_jwks_url", "customer_oidc_jwks_url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        is_here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not parts.hostname or parts.username is not None or not (parts.scheme == "https" or is_here):
            raise ValueError("keys are fetched from `https://…`, from this host also by `http://…`")
        return url

    @field_validator("mail_from")
    @classmethod
    def _is_address(cls, address: str) -> str:
        return mailbox(address)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.page_default > self.page_limit:
            raise ValueError("GATEWAY_PAGE_DEFAULT is more than GATEWAY_PAGE_LIMIT")
        if unknown := set(self.statement_timeout_seconds_by_role) - set(ROLES):
            raise ValueError(f"GATEWAY_STATEMENT_TIMEOUT_SECONDS_BY_ROLE names no role `{min(unknown)}`")
        return self

    @model_validator(mode="after")
    def _issuers_agree(self) -> Self:
        for prefix in ("oidc", "customer_oidc"):
            names = [f"{prefix}_{name}" for name in ("issuer", "audience", "jwks_url")]
            given = [bool(getattr(self, name)) for name in names]
            if any(given) and not all(given):
                first, second, third = (f"GATEWAY_{name.upper()}" for name in names)
                raise ValueError(f"{first}, {second} and {third} go together")
            if getattr(self, names[0]) == self.issuer:
                raise ValueError(f"GATEWAY_{names[0].upper()} is the gateway's own GATEWAY_ISSUER")
        # INVARIANT: whose a token is follows from its issuer alone.
        if self.oidc_issuer and self.oidc_issuer == self.customer_oidc_issuer:
            raise ValueError("GATEWAY_CUSTOMER_OIDC_ISSUER is the employees' GATEWAY_OIDC_ISSUER")
        return self

    def statement_timeout(self, role: str | None) -> float:
        """The time-out of a role's statements, in seconds."""
        return self.statement_timeout_seconds_by_role.get(role or "", self.statement_timeout_seconds)

    @classmethod
    def read(cls) -> Settings:
        """The settings of the environment; raises `StartError` naming what is missing or wrong."""
        try:
            return cls()
        except ValidationError as error:
            found = error.errors()[0]
            name = "_".join(["GATEWAY", *(str(part) for part in found["loc"])]).upper()
            raise StartError(f"setting {name}: {found['msg']}") from None

    @property
    def owner_url(self) -> str:
        """The database as the owner of its tables, where one is given."""
        return (self.owner_database_url or self.database_url).get_secret_value()

    def periods(self) -> dict[str, timedelta]:
        """The day counts of the row rules, by the names the rules bind them under."""
        prefix, suffix = "window_", "_days"
        return {
            name.removeprefix(prefix).removesuffix(suffix): timedelta(days=getattr(self, name))
            for name in type(self).model_fields
            if name.startswith(prefix)
        }
