"""The documents a worker knows, by role: what an id stands for, and which texts are taken.

Nothing is added while the gateway runs: the manifests are read once, at the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schema.model import Model

from ..config import Settings
from ..errors import Code, HttpError, RequestError, StartError, fault
from ..operation import digest_of, shape_of
from ..policy import Policy
from .applications import Application, read_applications
from .asked import Asked, ById
from .manifests import checked

# What clients know these by: Apollo's and urql's links look at the texts, too.
NOT_FOUND = "PersistedQueryNotFound"
NOT_SUPPORTED = "PersistedQueryNotSupported"


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a manifest; `digest` is the SHA-256 of its text."""

    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Untaken:
    """A document that is not taken, and was not parsed: what to answer.

    `shape` stands for it on the record, where this was a refusal; an id is the client's text, and has none.
    """

    error: RequestError
    shape: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """The documents of a role by their ids, and by their texts."""

    by_id: Mapping[str, Document] = field(default_factory=dict)
    by_text: Mapping[str, Document] = field(default_factory=dict)


NONE_LISTED = Listed()


@dataclass(frozen=True, slots=True)
class Documents:
    """The listed documents of each role, and the roles that may send no others."""

    of_roles: Mapping[str, Listed] = field(default_factory=dict)
    only: frozenset[str] = frozenset()

    def taken(self, asked: Asked, role: str | None, limit: frozenset[str] | None) -> str | Untaken:
        """The text of the document asked for, or why it is not taken.

        `limit` are the SHA-256 of the texts that the caller's token is limited to; both have to allow it.
        """
        listed = self.of_roles.get(role or "", NONE_LISTED)
        if isinstance(asked, ById):
            found = listed.by_id.get(asked.id)
            if found is None:
                return self._unknown(role, listed, limit)
            if limit is not None and found.digest not in limit:
                return _forbidden(found.text, "the token is limited to other documents")
            return found.text
        if role in self.only and asked not in listed.by_text:
            return _forbidden(asked, "the role is limited to the documents of its applications")
        if limit is not None and digest_of(asked) not in limit:
            return _forbidden(asked, "the token is limited to other documents")
        return asked

    def _unknown(self, role: str | None, listed: Listed, limit: frozenset[str] | None) -> Untaken:
        """What to answer to an id that is not listed: whether the client is to send the text instead."""
        if role in self.only or limit is not None:
            message = "the id is none of a document that the caller may send"
            return Untaken(fault(Code.PERSISTED_QUERY_NOT_IN_LIST, message), shape_of(""))
        if listed is NONE_LISTED:
            return Untaken(fault(Code.PERSISTED_QUERY_NOT_SUPPORTED, NOT_SUPPORTED))
        return Untaken(fault(Code.PERSISTED_QUERY_NOT_FOUND, NOT_FOUND))


def load_documents(settings: Settings, policy: Policy, model: Model) -> Documents:
    """The documents of `GATEWAY_DOCUMENTS_FOLDER`, each checked; raises `StartError`."""
    folder = settings.documents_folder
    applications = () if folder is None else read_applications(folder, policy)
    for application in applications:
        for entry in application.entries:
            checked(entry, model, settings)
    _check_ids(applications)
    roles = {role for application in applications for role in application.roles}
    if missing := sorted(settings.trusted_only - roles):
        raise StartError(f"setting GATEWAY_TRUSTED_ONLY: no application has documents for `{missing[0]}`")
    return Documents({role: _listed(applications, role) for role in roles}, settings.trusted_only)


def _listed(applications: tuple[Application, ...], role: str) -> Listed:
    by_id: dict[str, Document] = {}
    by_text: dict[str, Document] = {}
    for application in applications:
        for entry in application.of(role) if role in application.roles else ():
            document = by_text.setdefault(entry.text, Document(entry.text, entry.digest))
            # GraphQL over HTTP, appendix A: a SHA-256 is an id everywhere, with its prefix.
            for id in (entry.id, document.digest, f"sha256:{document.digest}"):
                by_id[id] = document
    return Listed(by_id, by_text)


def _check_ids(applications: tuple[Application, ...]) -> None:
    """Raises `StartError` where an id stands for one text here, and for another there."""
    texts: dict[str, str] = {}
    for application in applications:
        for entry in application.entries:
            if texts.setdefault(entry.id, entry.text) != entry.text:
                raise StartError(f"{entry.place}: the id is that of another document elsewhere")


def _forbidden(text: str, message: str) -> Untaken:
    return Untaken(HttpError(Code.DOCUMENT_FORBIDDEN, message, 403), shape_of(text))
