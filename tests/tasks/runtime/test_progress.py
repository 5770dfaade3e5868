"""Progress on Prefect's pages: where there is a server, every few seconds, and never at the work's expense."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest
from prefect import flow, task

from nightrank.tasks.runtime import progress as progress_artifact
from nightrank.tasks.runtime.progress import progress


@task(name="work")
def work(counts: list[int]) -> None:
    with progress("embedding", 200) as advance:
        for count in counts:
            advance(count)


@flow(name="working")
def working(counts: list[int]) -> UUID:
    from prefect.context import FlowRunContext

    work(counts)
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    return context.flow_run.id


def artifacts_of(api: str, run: UUID) -> list[tuple[str, float, str]]:
    condition = {"flow_run_id": {"any_": [str(run)]}}
    found = httpx.post(f"{api}/artifacts/filter", json={"artifacts": condition}, timeout=60).json()
    return [(one["key"], one["data"], one["description"]) for one in found]


def test_long_work_shows_how_far_it_is(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_artifact, "SECONDS_BETWEEN", 0.0)

    run = working([50, 40])

    assert artifacts_of(prefect_api, run) == [("nightrank-embedding", 45.0, "embedding: 90 of 200")]


def test_short_work_shows_nothing(prefect_api: str) -> None:
    assert artifacts_of(prefect_api, working([50, 150])) == []


def test_a_server_that_keeps_no_artifacts_stops_no_work(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def unreachable(*_: object, **__: object) -> None:
        calls.append(1)
        raise httpx.ConnectError("gone")

    monkeypatch.setattr(progress_artifact, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(progress_artifact, "create_progress_artifact", unreachable)

    working([50, 50, 100])

    assert calls == [1]  # and it is not asked again


def test_outside_a_run_no_server_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_artifact, "create_progress_artifact", pytest.fail)
    monkeypatch.setattr(progress_artifact, "SECONDS_BETWEEN", 0.0)

    work.fn([200])
