"""The versions of a plant's mapping that were in force, from the audit trail, and the way back to one (A21).

Laws:

- a version is known by its digest; what the trail kept of it is used only where it still gives that digest;
- a rollback is recorded before the file is replaced, with what it replaces, so that nothing is lost: the way forward
  is a rollback, too. Cut off between the two, it is done by doing it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import ValidationError

from canonical import mapping
from canonical.contracts import TrailAction, TrailEntry
from canonical.mapping import MappingError, PlantMapping
from canonical.plants import shipped
from dataflows.settings import Settings
from dataflows.stored_records import stored_records
from dataflows.trail.attest import FILES, TEXT, TEXT_MAX, kept
from dataflows.trail.operator_trail import OperatorTrail
from sinks.commit_log import PlantsyncError
from sinks.streams import TRAIL
from sinks.trail import Deed, Head

REPLACED: Final = "replaced"
"""In the detail of a rollback: what the trail keeps of the version that was replaced."""
PREFIX_MIN: Final = 8


class VersionRefused(PlantsyncError):
    """There is no such version, or it cannot be gone back to."""


@dataclass(slots=True)
class MappingVersion:
    """One version. ``text`` is the file's, None where the trail has not kept it; ``files`` are those it names.

    ``since_us``: when a shard first worked under it; none where none has. ``shards``: those whose last entry names it.
    """

    digest: str
    since_us: int | None = None
    release: str = ""
    shards: list[str] = field(default_factory=list)
    text: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


def history(settings: Settings, plant: str) -> list[MappingVersion]:
    """Return the versions of a plant's mapping that the trail knows, in the order in which they came into force.

    Raises: CommitLogUnavailable, CommitLogError, SourceUnavailable.
    """
    found: dict[str, MappingVersion] = {}
    working: dict[str, str] = {}
    for entry in sorted(_entries(settings, plant), key=lambda entry: entry.at_us):
        told: dict[str, Any] = orjson.loads(entry.detail)
        if entry.action is TrailAction.MAPPING_ROLLED_BACK:
            _keep(found.setdefault(entry.before, MappingVersion(entry.before)), told[REPLACED])
            continue
        version = found.setdefault(entry.after, MappingVersion(entry.after))
        if version.since_us is None:
            version.since_us, version.release = entry.at_us, entry.version
        _keep(version, told)
        working[entry.chain] = entry.after
    for shard, digest in sorted(working.items()):
        found[digest].shards.append(shard)
    return sorted(found.values(), key=lambda version: (version.since_us is None, version.since_us or 0))


def version_of(settings: Settings, plant: str, prefix: str) -> MappingVersion:
    """Return the one version whose digest begins so. Raises: VersionRefused; as ``history``."""
    versions = history(settings, plant)
    meant = [version for version in versions if version.digest.startswith(prefix)]
    if len(prefix) < PREFIX_MIN or len(meant) != 1:
        known = ", ".join(version.digest[:16] for version in versions) or "none"
        raise VersionRefused(
            f"{prefix!r} is not how one version of {plant} begins, in {PREFIX_MIN} digits or more; known are {known}"
        )
    return meant[0]


@dataclass(frozen=True, slots=True)
class Rollback:
    """A mapping file that is to become an earlier version of itself. ``now`` is what it says."""

    path: Path
    now: PlantMapping
    version: MappingVersion

    @classmethod
    def planned(cls, settings: Settings, plant: str, version: MappingVersion) -> Rollback:
        """Return the rollback, if it can be done.

        Raises: VersionRefused, MappingError.
        """
        files = {mapping.name: (path, mapping) for path, mapping in settings.files()}
        if plant not in files:
            raise VersionRefused(f"the settings name no plant {plant!r}: they have {', '.join(sorted(files))}")
        path, now = files[plant]
        if sum(mapping.name == plant for _, mapping in settings.files()) > 1:
            raise VersionRefused(
                f"several mapping files are of plant {plant}: write back by hand the one that is meant"
            )
        if path in shipped():
            raise VersionRefused(
                f"{plant} works under a file that came with plantsync: copy it, name the copy, then go back"
            )
        if version.text is None:
            raise VersionRefused(f"what version {version.digest[:16]} said was not kept: restore {path} from elsewhere")
        for name, text in version.files.items():
            beside = path.parent / name
            if not beside.is_file() or beside.read_text("utf-8") != text:
                raise VersionRefused(
                    f"version {version.digest[:16]} came with another {beside}: write back what "
                    f"`plantsync mapping show {plant} {version.digest[:16]} --file {name}` prints, then try again"
                )
        with _Beside(path, version.text) as prepared:
            try:
                digest = mapping.load(prepared).digest
            except MappingError as error:
                raise VersionRefused(f"this plantsync refuses version {version.digest[:16]}:\n{error}") from error
        if digest != version.digest:
            raise VersionRefused(
                f"plantsync {version.release} took it for {version.digest[:16]}, this one takes it for {digest[:16]}"
            )
        return cls(path, now, version)

    def apply(self, trail: OperatorTrail, actor: str, reason: str, at_us: int) -> Head:
        """Record it, then replace the file. Raises: WriterFenced, as ``CommitLog.commit``; OSError."""
        assert self.version.text is not None
        deed = Deed(
            TrailAction.MAPPING_ROLLED_BACK,
            actor=actor,
            subject=self.now.name,
            reason=reason,
            before=self.now.digest,
            after=self.version.digest,
            detail=orjson.dumps({"file": self.path.name, REPLACED: kept(self.now)}).decode(),
        )
        with _Beside(self.path, self.version.text) as prepared:
            head = trail.append(deed, at_us, {})
            prepared.replace(self.path)
        return head


class _Beside:
    """A hidden file beside another one that holds a text, gone at the end where it was not moved."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._text = path.with_name(f".{path.name}.{os.getpid()}"), text

    def __enter__(self) -> Path:
        with self._path.open("w", encoding="utf-8", newline="") as file:
            file.write(self._text)
            file.flush()
            os.fsync(file.fileno())
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _keep(version: MappingVersion, told: Mapping[str, Any]) -> None:
    if TEXT in told:
        version.text, version.files = told[TEXT], told[FILES]


def _entries(settings: Settings, plant: str) -> Iterator[TrailEntry]:
    for _, stored in stored_records(settings, TRAIL):
        try:
            entry = TrailEntry.model_validate_json(stored.value)
        except ValidationError:
            continue  # `plantsync audit --trail` names it
        if entry.subject == plant[:TEXT_MAX] and entry.action in {
            TrailAction.MAPPING_CHANGED,
            TrailAction.MAPPING_ROLLED_BACK,
        }:
            yield entry
