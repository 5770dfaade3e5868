"""The report of a release: whether the night was good, in ten seconds, and where it was not, in two minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.errors import reason_of
from nightrank.storage.files.atomic import write_text
from nightrank.tasks.runtime.stage_task import stage_task

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
        models: The folder of trained models; those that the release uses are reported.
        path: Where the page goes; it appears when it is whole.
    """
    # matplotlib is loaded where a report is written, and nowhere else.
    from nightrank.tasks.report.facts import gather_facts
    from nightrank.tasks.report.page import render_page

    write_text(path, render_page(gather_facts(folder, manifest, previous, models=models)))


class Reported(NamedTuple):
    """A release with its report.

    Attributes:
        manifest: Of the release.
        fault: Why it has none, where that is so: a release is worth more than its report, and is published without.
    """

    manifest: Manifest
    fault: str | None


@stage_task("report")
def report_release(night: Night, manifest: Manifest) -> Reported:
    """Write the report of tonight's release against the one that is live.

    Args:
        night: The run.
        manifest: Of tonight's release.
    """
    previous, current = None, night.current
    if current is not None and (folder := night.workspace.release(current.release_id)).is_dir():
        previous = folder, current
    try:
        models, path = night.workspace.models, night.files.report.path
        write_report(night.staging, manifest, previous=previous, models=models, path=path)
    except Exception as error:  # files of an old release may be damaged in as many ways as there are formats
        return Reported(manifest, f"The report was not written. {reason_of(error)}")
    return Reported(manifest, None)
