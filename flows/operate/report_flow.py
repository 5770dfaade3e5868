"""The report of a release on Prefect's pages, for those who look there and not into its folder."""

from __future__ import annotations

from pathlib import Path

from nightrank.flows.engine.artifacts import show_report_in_prefect
from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.operate.report import find_report
from nightrank.flows.settings_file import load_settings
from nightrank.storage.release.manifest import read_manifest


@nightrank_flow("report")
def report(settings_file: str = "nightrank.toml", *, release_id: str | None = None) -> str:
    """Put a release's measures and gates on the page of this run, with the place of its report.

    Args:
        settings_file: Path of the settings.
        release_id: Of the release; None for the current one.

    Returns:
        The path of its report.

    Raises:
        InputError: There is no such release, or it has no report.
    """
    workspace = load_settings(Path(settings_file)).workspace
    release_id, path = find_report(workspace, release_id=release_id)
    show_report_in_prefect(read_manifest(workspace, release_id), path=path)
    return str(path)
