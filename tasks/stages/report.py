"""The report of a release: whether the night was good, in ten seconds, and where it was not, in two minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from nightrank.storage.errors import reason_of
from nightrank.storage.files.atomic import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.release.manifest import Manifest
    from nightrank.tasks.night import Night


def write_report(
    folder: Path, manifest: Manifest, *, previous: tuple[Path, Manifest] | None, models: Path, path: Path
) -> None:
    """Write the report of a release: one HTML file, the same for the same inputs.

    Args:
        folder: Where the release's files are; whichever is missing, its section says so.
        manifest: Of the release.
        previous: The folder and the manifest of the release that it is held against; None for a first release, or
            where the one before is gone.
        models: The folder of trained models; those that the release uses are told of.
        path: Where the page goes; it appears when it is whole.
    """
    # matplotlib is loaded where a report is written, and nowhere else.
    from nightrank.tasks.report.facts import gather_facts
    from nightrank.tasks.report.page import render_page

    write_text(path, render_page(gather_facts(folder, manifest, previous, models=models)))


@task(name="report", cache_policy=NO_CACHE)
def report_night(night: Night, manifest: Manifest, *, current: Manifest | None) -> str | None:
    """Write the report of tonight's release against the one that is live.

    Args:
        night: The run.
        manifest: Of tonight's release.
        current: Of the live one.

    Returns:
        Why there is none, where that is so: a release is worth more than its report, and is published without.
    """
    previous = None
    if current is not None and (folder := night.workspace.release(current.release_id)).is_dir():
        previous = folder, current
    try:
        models, path = night.workspace.models, night.files.report.path
        write_report(night.staging, manifest, previous=previous, models=models, path=path)
    except Exception as error:  # files of an old release may be damaged in as many ways as there are formats
        return f"The report was not written. {reason_of(error)}"
    return None
