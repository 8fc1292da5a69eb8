"""The settings: one frozen object, read from the environment (`GATEWAY_…`); units stand in the names."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schema.formats import CASE_REFERENCE, mailbox

from .audit.place import checked_place
from .budget.beside import most_beside
from .budget.place import checked_store
from .cross_origin import checked_origin
from .errors import StartError
from .mail.server import read_server
from .policy import ROLES, STAFF, default_folder
from .working_days import Country, TimeZone


class Settings(BaseSettings):
    """Every setting of the gateway; the README lists them, and a test holds that it does."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, extra="forbid")

    database_url: SecretStr = Field(description="where PostgreSQL is: `postgresql://…`")
    owner_database_url: SecretStr | None = Field(
        None, description="the same database as the owner of its tables, for `migrate` and `token`"
    )
    keeper_database_url: SecretStr | None = Field(
        None, description="the same database as the role that may delete records, for `audit drop`"
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
        description="how long a designation, subject, session or partner token is believed without asking,"
        " or hearing that no change of it was missed",
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
    documents_folder: Path | None = Field(
        None, description="the manifests of the client applications' documents"
    )
    trusted_only: frozenset[str] = Field(
        frozenset(), description="roles that may send the documents of their manifests alone, as JSON"
    )
    public_url: str = Field("https://store.example/", description="where the store reaches the gateway")

    pool_connections: int = Field(10, ge=1, description="connections per time-out class and worker")
    statement_timeout_seconds: float = Field(5, gt=0, description="time-out of a statement")
    statement_timeout_seconds_by_role: dict[str, float] = Field(
        dict.fromkeys(sorted(STAFF), 15.0), description="time-outs of single roles, as JSON"
    )

    operation_cache_bytes: int = Field(
        2_000_000,
        ge=1,
        description="text of the parsed documents kept per worker, 150 more for each",
    )
    plan_cache_bytes: int = Field(
        8_000_000, ge=1, description="SQL of the plans kept per worker, with what they hold of documents"
    )
    principal_cache_entries: int = Field(10000, ge=1, description="verified tokens kept per worker")

    connection_limit: int = Field(2000, ge=1, description="connections of a worker, idle ones among them")
    head_limit_bytes: int = Field(32 * 1024, ge=4096, description="largest URL and headers of a request")
    head_timeout_seconds: float = Field(10, gt=0, description="how long they may take to come")
    body_limit_bytes: int = Field(256 * 1024, ge=1024, description="largest request body, and message")
    body_timeout_seconds: float = Field(10, gt=0, description="how long a body may take to come")
    request_timeout_seconds: float = Field(30, gt=0, description="how long a request may take, once it came")
    send_timeout_seconds: float = Field(60, gt=0, description="how long a client may take to take an answer")
    keep_alive_seconds: int = Field(5, ge=1, description="how long a connection is kept between requests")
    document_limit_bytes: int = Field(100_000, ge=1000, description="longest document")
    token_limit: int = Field(10_000, ge=100, description="most lexical tokens of a document")
    depth_limit: int = Field(20, ge=3, description="deepest nesting of a document")
    root_field_limit: int = Field(50, ge=1, description="most root fields of an operation, fragments spread")
    alias_limit: int = Field(2000, ge=1, description="most aliases of a document, its fragments spread")
    directive_limit: int = Field(100, ge=1, description="most directives of a document, its fragments spread")
    repetition_limit: int = Field(
        100_000, ge=100, description="most pairs of equal response keys in a document"
    )
    field_limit: int = Field(
        4000, ge=100, description="most fields of a document with its fragments spread; an object counts 5"
    )
    variable_limit: int = Field(20_000, ge=100, description="most values in the variables of an operation")
    variable_depth_limit: int = Field(50, ge=5, description="deepest nesting of the variables")
    condition_limit: int = Field(
        1000, ge=10, description="most conditions of an operation; one on a relation or a sort key counts 10"
    )
    listed_limit: int = Field(
        10_000, ge=100, description="most values in the lists of an operation's conditions"
    )
    cost_limit: int = Field(250_000, ge=100, description="most that an operation may cost")
    budget_per_minute: int = Field(
        10_000_000, ge=1, description="what the operations of one principal may cost in a minute together"
    )
    budget_url: SecretStr | None = Field(
        None, description="where workers count budgets together: `redis://…`, `rediss://…` or `valkey://…`"
    )
    mutation_limit: int = Field(10, ge=1, description="most changes of an operation")
    page_default: int = Field(20, ge=1, description="entries of a page when none are asked for")
    page_limit: int = Field(100, ge=1, description="most entries of a page")

    list_limit: int = Field(
        20, ge=1, description="people of whom an employee sees at once what a purpose without lists grants"
    )
    read_quota: int = Field(1000, ge=1, description="customers of whom an employee may read in a day (UTC)")
    refusal_records_per_minute: int = Field(
        60, ge=1, description="refusals of one principal recorded in a minute and worker"
    )

    case_reference: str = Field(
        CASE_REFERENCE, description="what the store's case references look like, as a regular expression"
    )

    access_token_minutes: int = Field(15, ge=1, le=60, description="how long a customer's access token holds")
    employee_token_minutes: int = Field(
        60, ge=1, description="how long a token of the gateway's own for an employee may hold at most"
    )
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
        5,
        ge=0,
        le=24 * 60,
        description="how soon such a link, or one to confirm, is mailed again to the same address",
    )
    throttle_account_limit: int = Field(
        10, ge=1, description="attempts at an account from one network in a window, of each kind"
    )
    throttle_client_limit: int = Field(
        100, ge=1, description="attempts of a client's network in a window, of all kinds"
    )
    # NIST SP 800-63B-4, section 3.2.2: no more than 100 failures of one account.
    throttle_everywhere_limit: int = Field(
        100, ge=1, description="attempts at an account from everywhere, beyond which each network has one"
    )
    throttle_window_seconds: int = Field(900, ge=1, description="in how long a full count drains")

    order_token_days: int = Field(30, ge=1, le=365, description="how long a token for one order holds")
    order_access_minutes: int = Field(
        5, ge=0, le=24 * 60, description="how soon a link to the same order is mailed again"
    )

    smtp_url: SecretStr | None = Field(
        None, description="the mail server: `smtp://…` or `smtps://…`; without one mail stays in its table"
    )
    mail_from: str = Field("no-reply@store.example", description="the address mail is sent from")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least level that is logged"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`json`, `console`, or by whether standard error is a terminal"
    )

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="proxies that say from where a request comes, as JSON: networks in CIDR notation"
    )
    last_used_seconds: float = Field(
        60, gt=0, description="how often the last use of partner tokens is written down"
    )

    rotation_overlap_hours: int = Field(
        24, ge=0, le=168, description="how long a partner's former key holds beside the new one"
    )

    seal_seconds: float = Field(5, gt=0, description="how often new records are sealed")
    anchor: str | None = Field(None, description="where the newest seals are told: a file or `https://…`")
    anchor_minutes: float = Field(60, gt=0, description="how often they are told there")

    graphiql_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="networks from which `/graphiql` is there, as JSON, in CIDR notation"
    )
    allowed_origins: tuple[str, ...] = Field(
        (), description="origins whose pages may ask and open sockets from elsewhere, as JSON"
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
    time_zone: TimeZone = Field("Europe/Helsinki", description="whose days withdrawals and vouchers go by")
    holidays: Country = Field("FI", description="whose public holidays put the end of a period off")
    fiscal_year_end: str = Field(
        "12-31",
        pattern="^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
        description="the day on which the store's fiscal years end, as MM-DD",
    )
    erasure_seconds: float = Field(
        60, gt=0, description="how often each worker looks for erasures to be done or brought to their end"
    )
    erasure_ledger: Path | None = Field(
        None, description="the file that erasures are written to, which a restored backup does not undo"
    )
    retention_hour: int | None = Field(
        None, ge=0, le=23, description="from which hour (UTC) on a worker runs the retention, once a day"
    )
    export_days: int = Field(
        7, ge=1, le=30, description="how long the link to a copy of somebody's data holds"
    )
    cooling_off_days: int = Field(
        3, ge=1, le=14, description="how long an erasure waits, and can be taken back"
    )

    @field_validator("smtp_url")
    @classmethod
    def _is_server(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            read_server(url.get_secret_value())
        return url

    @field_validator("anchor")
    @classmethod
    def _is_place(cls, place: str | None) -> str | None:
        return None if place is None else checked_place(place)

    @field_validator("budget_url")
    @classmethod
    def _is_store(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            checked_store(url.get_secret_value())
        return url

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_origin(origin) for origin in origins)

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _in_any_case(cls, name: object) -> object:
        return name.lower() if isinstance(name, str) else name

    @field_validator("case_reference")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error:
            raise ValueError("it is no regular expression") from None
        return pattern

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
        most = self.cost_limit + most_beside(self.document_limit_bytes, self.variable_limit)
        if self.budget_per_minute < most:
            raise ValueError(f"GATEWAY_BUDGET_PER_MINUTE is less than an operation may take, {most}")
        if strange := self.trusted_only - set(ROLES):
            raise ValueError(f"GATEWAY_TRUSTED_ONLY names no role `{min(strange)}`")
        if unknown := set(self.statement_timeout_seconds_by_role) - set(ROLES):
            raise ValueError(f"GATEWAY_STATEMENT_TIMEOUT_SECONDS_BY_ROLE names no role `{min(unknown)}`")
        return self

    @model_validator(mode="after")
    def _retention_has_its_role(self) -> Self:
        if self.retention_hour is not None and self.keeper_database_url is None:
            raise ValueError("GATEWAY_RETENTION_HOUR goes with GATEWAY_KEEPER_DATABASE_URL")
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
    def read(cls, **given: SecretStr) -> Settings:
        """The settings of the environment; raises `StartError` naming what is missing or wrong.

        What is `given` counts, whatever the environment says.
        """
        try:
            return cls(**given)  # type: ignore[arg-type]
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
