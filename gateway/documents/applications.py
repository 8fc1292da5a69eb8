"""The client applications: whose documents a manifest holds, in which roles and for what they are sent.

Takes `applications.yaml` of the documents folder. Gives `Application` values. Rejects with `StartError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import StartError
from ..policy import PARTNER_ROLES, ROLES, Policy
from ..policy_files.entries import Entry as Yaml
from ..policy_files.entries import read_entry, read_list
from .manifests import Entry, read_manifest

FILE = "applications.yaml"
EVERY = "all"


@dataclass(frozen=True, slots=True)
class Application:
    """A client application: its documents, and by role the names of those it sends (None: all of them)."""

    name: str
    place: str
    manifest: Path
    entries: tuple[Entry, ...]
    roles: Mapping[str, frozenset[str] | None]
    purpose: str | None = None
    recipient: str | None = None

    def of(self, role: str) -> tuple[Entry, ...]:
        """The documents it sends in a role."""
        names = self.roles[role]
        return tuple(entry for entry in self.entries if names is None or entry.name in names)


def read_applications(folder: Path, policy: Policy) -> tuple[Application, ...]:
    """The applications of a folder; raises `StartError` for what is malformed, unknown or left over."""
    path = folder / FILE
    found = read_list(path, ("name", "manifest", "roles"), ("purpose", "recipient"))
    applications = tuple(_application(folder, name, entry, policy) for name, entry in found.items())
    named = {application.manifest for application in applications}
    if left := sorted(one for one in folder.glob("*.json") if one not in named):
        raise StartError(f"{left[0]}: no application of {FILE} names this manifest")
    return applications


def check_for(purpose: str | None, recipient: str | None, role: str, policy: Policy, place: str) -> None:
    """Raises `StartError` where a role cannot act for this purpose, or as this recipient."""
    if purpose is not None and purpose not in policy.purposes:
        raise StartError(f"{place}: unknown purpose `{purpose}`")
    if recipient is None:
        return
    if role not in PARTNER_ROLES:
        raise StartError(f"{place}: `{role}` is no partner, and so no recipient")
    if recipient not in policy.recipients:
        raise StartError(f"{place}: unknown recipient `{recipient}`")


def _application(folder: Path, name: str, entry: Yaml, policy: Policy) -> Application:
    file = entry.text("manifest")
    if Path(file).name != file:
        entry.fail("`manifest` is the name of a file in the same folder")
    manifest = folder / file
    entries = read_manifest(manifest)
    roles = _roles(entry, entries)
    purpose, recipient = entry.optional_text("purpose"), entry.optional_text("recipient")
    for role in roles:
        check_for(purpose, recipient, role, policy, entry.place)
    return Application(name, entry.place, manifest, entries, roles, purpose, recipient)


def _roles(entry: Yaml, entries: tuple[Entry, ...]) -> Mapping[str, frozenset[str] | None]:
    given = read_entry(entry.values["roles"], f"{entry.place}: `roles`", (), ROLES)
    if not given.values:
        entry.fail("`roles` is empty")
    known = {one.name for one in entries}
    roles: dict[str, frozenset[str] | None] = {}
    for role, names in given.values.items():
        roles[role] = None if names == EVERY else frozenset(given.texts(role))
        if unknown := sorted((roles[role] or frozenset()) - known):
            given.fail(f"`{role}`: the manifest has no operation `{unknown[0]}`")
    return roles
