"""What ``nightrank releases`` lists: every release, what it holds, and what is wrong with one that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.release.manifest import readable_and_damaged, settings_as_json, size_bytes

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue
    from nightrank.storage.release.manifest import Manifest
    from nightrank.storage.workspace.base import Workspace


@dataclass(frozen=True, slots=True)
class ListedRelease:
    """A release in the list.

    Attributes:
        release_id: Its name.
        current: Whether readers see it.
        size_bytes: Of its own files.
        manifest: What it says of itself; None where that cannot be read.
        damage: Why it cannot be read; empty where it can.
    """

    release_id: str
    current: bool
    size_bytes: int
    manifest: Manifest | None
    damage: str = ""

    def as_json(self) -> dict[str, JsonValue]:
        """Its object in ``releases --json``; what cannot be read is null."""
        manifest = self.manifest
        counts: dict[str, JsonValue] | None = None
        if manifest is not None:
            counts = dict(manifest.counts.model_dump())
        return {
            "release_id": self.release_id,
            "current": self.current,
            "status": "damaged" if manifest is None else manifest.status,
            "damage": self.damage or None,
            "created_at": None if manifest is None else manifest.created_at.isoformat(timespec="seconds"),
            "size_bytes": self.size_bytes,
            "counts": counts,
            "models": None if manifest is None else _models(manifest),
            "measures": None if manifest is None else {stage: dict(m) for stage, m in manifest.measures.items()},
            "gates": None if manifest is None else [settings_as_json(gate) for gate in manifest.gates],
        }


def listed_releases(workspace: Workspace, *, current: str | None) -> list[ListedRelease]:
    """All committed releases, oldest first.

    Args:
        workspace: Where they are.
        current: The id of the one that readers see.
    """
    manifests, damaged = readable_and_damaged(workspace)
    by_id: dict[str, Manifest | None] = {manifest.release_id: manifest for manifest in manifests}
    by_id |= dict.fromkeys(damaged)
    return [
        ListedRelease(
            release_id=release_id,
            current=release_id == current,
            size_bytes=size_bytes(workspace, release_id),
            manifest=by_id[release_id],
            damage=damaged.get(release_id, ""),
        )
        for release_id in sorted(by_id)
    ]


def _models(manifest: Manifest) -> dict[str, JsonValue]:
    """What the settings of a release named, promotions included, with the fingerprints that decide its scores."""
    inputs = manifest.inputs
    fingerprints = {"embedder": inputs.embedder, "reranker": inputs.reranker_fingerprint}
    if inputs.sparse != "none":
        fingerprints["sparse"] = inputs.sparse
    models: dict[str, JsonValue] = {}
    for kind, key in fingerprints.items():
        section = manifest.settings[kind]
        assert isinstance(section, dict)
        models[kind] = {"model": section["model"], "fingerprint": key}
    return models
