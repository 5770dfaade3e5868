"""A night whose release would be refused as the last one was: the same inputs, the same gates, the same live release.

It is not built again. What would have it tried again is said instead.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from nightrank.storage.release.manifest import readable_and_damaged, settings_as_json
from nightrank.tasks.gates.rules import SAY_THE_SAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nightrank.flows.night.build import Build
    from nightrank.storage.release.manifest import Manifest
    from nightrank.tasks.stages.read import InputsRead


def refused_before(build: Build, read: InputsRead, accept: Sequence[str]) -> Manifest | None:
    """The release that was made from these very inputs and refused, where it would be refused again.

    Args:
        build: The run.
        read: Its inputs.
        accept: Gates that its release may fail.
    """
    night, inputs = build.night, build.inputs_of(read)
    live = None if night.current is None else night.current.release_id
    gates = settings_as_json(night.settings)["gates"]
    manifests, _ = readable_and_damaged(night.workspace)
    for manifest in reversed(manifests):
        said = [gate.name for gate in manifest.gates if not gate.passed and gate.name in SAY_THE_SAME]
        if (
            manifest.status == "rejected"
            and manifest.previous == live
            and manifest.inputs == inputs
            and manifest.settings.get("gates") == gates
            and manifest.nightrank == version("nightrank")
            and manifest.counts.pairs_left == 0
            and not set(said) <= set(accept)
        ):
            return manifest
    return None
