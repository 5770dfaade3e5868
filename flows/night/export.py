"""The export that ends a refresh: what was published goes to the places of the settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nightrank.storage.errors import reason_of
from nightrank.storage.serving.address import parse_address
from nightrank.tasks.stages.export import export_release, keep_out_of

if TYPE_CHECKING:
    from nightrank.flows.night.build import Build


def export(build: Build, release_id: str | None) -> tuple[str, ...]:
    """Export the published release to the places of the settings, where they do not serve it yet.

    Args:
        build: The run.
        release_id: Of the release that readers see; None where this run's was not published, and nothing is exported.

    Returns:
        Warnings. No failure undoes the release, and the next refresh exports again.
    """
    night, settings = build.night, build.night.settings.export
    if release_id is None or not settings.to:
        return ()
    start = time.perf_counter()
    warnings: list[str] = []
    for written in settings.to:
        try:
            address = parse_address(written, base=night.base)
            keep_out_of(night.workspace, [address])
            warnings += export_release(night.workspace, release_id, address, settings, now=night.now).warnings
        except Exception as error:  # whatever is wrong with a place, the release is published
            warnings.append(f"An export failed; the next refresh tries again. {reason_of(error)}")
    build.seconds["export"] = time.perf_counter() - start
    return tuple(warnings)
