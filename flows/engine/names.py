"""What a run is called on Prefect's pages: its workspace, and once it is known its release and what became of it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectHTTPStatusError
from prefect.logging import get_logger, get_run_logger
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from nightrank.flows.engine.api import LONGEST_ANSWER
from nightrank.flows.settings_file import read_settings
from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

TAG = "nightrank"
ON_CHANGE = "on change"  # a refresh that the watcher of a schedule began
MISSED, AGAIN = "missed", "again"  # one that a schedule began for those that nobody could begin, or for one that failed
MACHINE_FAILED = "machine failed"  # it failed for the machine's or a store's sake: another one may end well
RETRIES = 3  # of what may be left out: 14 seconds


@contextmanager
def if_reachable() -> Iterator[None]:
    """What a run puts on Prefect's pages in this block is left out where the server does not take it."""
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: RETRIES, PREFECT_API_REQUEST_TIMEOUT: LONGEST_ANSWER}):
            yield
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        get_logger("nightrank").warning("Prefect's pages lack something: %s: %s", type(error).__name__, error)


def flow_run_name() -> str:
    """The name of the flow run that is beginning: its workspace, as far as its settings can be read."""
    context = FlowRunContext.get()
    assert context is not None
    settings_file = Path(str((context.parameters or {}).get("settings_file", "nightrank.toml")))
    try:
        settings = read_settings(settings_file)
    except InputError:  # which the run itself will say, and better
        return str(settings_file)
    return workspace_name(settings.workspace, base=settings_file.resolve().parent)


def workspace_name(workspace: str, *, base: Path) -> str:
    """A workspace for people: the folder of its settings and its own name there, or its whole address.

    >>> [workspace_name(name, base=Path("/srv/shop")) for name in ("workspace", "/data/shop", "s3://search/shop")]
    ['shop/workspace', '/data/shop', 's3://search/shop']
    """
    is_whole = "://" in workspace or Path(workspace).is_absolute()
    return workspace if is_whole else f"{base.name}/{workspace}"


def name_flow_run(workspace: str, release_id: str, outcome: str, *, log: str) -> None:
    """Say in the name and the tags of this flow run what came of it; does nothing outside a flow run.

    Args:
        workspace: The name of the workspace.
        release_id: The release that it made or found.
        outcome: A word for it, such as "published"; it becomes a tag.
        log: A line for its log.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    get_run_logger().info("%s", log)
    run = context.flow_run
    with if_reachable(), get_client(sync_client=True) as client:
        client.update_flow_run(
            run.id,
            name=f"{workspace} {release_id} {outcome}",
            tags=[*dict.fromkeys([*run.tags, TAG, outcome])],
        )
