"""``nightrank schedule``: what ends it, what it waits for, and whose deployments it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

import nightrank.flows.schedule.serve as module
from nightrank.flows.schedule.outage import may_pass
from nightrank.flows.schedule.plan import Served
from nightrank.flows.schedule.serve import refuse_deployments_of_others, serve
from nightrank.storage.errors import InputError, MachineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def answer(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://prefect/api/deployments/")
    return httpx.HTTPStatusError(f"{status}", request=request, response=httpx.Response(status, request=request))


def served_of(settings_file: Path, name: str = "shop") -> Served:
    from nightrank.flows.operate.prune import prune

    return Served(prune, name, "", settings_file, cron=None, timezone="UTC")


class Busy:
    """In place of serving: fails with one error after the other, then ends in good order."""

    def __init__(self, *errors: Exception, after_ready: bool) -> None:
        self.errors, self.after_ready = [*errors], after_ready

    def __call__(self, *_: Sequence[object], waits: module.Waits, **__: object) -> None:
        if self.after_ready:
            waits.served()
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch, prefect_api: str) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr("nightrank.flows.engine.abandoned.mark_dead_runs", lambda *_, **__: None)
    monkeypatch.setattr(module, "load_settings", lambda _: None)
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_that_is_busy_as_flows_are_registered_is_asked_again(
    status: int, slept: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from prefect.deployments.runner import DeploymentApplyError

    failed = DeploymentApplyError("Error while applying deployment")
    failed.__cause__ = answer(status)
    monkeypatch.setattr(module, "_serve_once", Busy(failed, httpx.ConnectError("refused"), failed, after_ready=False))

    serve([served_of(tmp_path / "nightrank.toml")], on_ready=lambda _: None)

    assert slept == [1.0, 2.0, 4.0]
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "Note: Prefect's server is busy or away: DeploymentApplyError: Error while applying deployment. "
        "It is asked again until it takes the flows."
    ]


def test_once_it_serves_no_failure_of_the_server_ends_it(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = [RuntimeError("Service exceeded error threshold.")] * 3
    monkeypatch.setattr(module, "_serve_once", Busy(*errors, after_ready=True))

    serve([served_of(tmp_path / "nightrank.toml")], on_ready=lambda _: None)

    assert slept == [1.0, 2.0, 4.0]
    assert capsys.readouterr().err.count("Service exceeded error threshold") == 1


def test_a_failure_after_a_while_of_serving_is_a_new_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now, waits, found = 0.0, module.Waits(), []
    monkeypatch.setattr("time.monotonic", lambda: now)
    for served_seconds in (1.0, 5.0, 3600.0, 2.0):
        waits.served()
        now += served_seconds
        waits.tell(RuntimeError("it fell"))
        found.append(waits.next_seconds())

    assert found == [1.0, 2.0, 1.0, 2.0]
    assert capsys.readouterr().err.count("it fell") == 2


def test_a_server_that_is_away_for_weeks_is_asked_each_minute() -> None:
    waits = module.Waits()
    assert [waits.next_seconds() for _ in range(5000)][-1] == module.LONGEST_WAIT


def test_what_does_not_pass_ends_it_as_it_begins(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_serve_once", Busy(answer(401), after_ready=False))

    with pytest.raises(MachineError, match="no longer served: HTTPStatusError: 401"):
        serve([served_of(tmp_path / "nightrank.toml")], on_ready=lambda _: None)

    assert slept == []


def test_what_hides_a_busy_servers_answer_is_seen_through() -> None:
    no_json = ValueError("Expecting value: line 1 column 1")  # as Prefect raises while it handles such an answer
    assert not may_pass(no_json)

    no_json.__context__ = answer(503)

    assert may_pass(no_json)


def test_deployments_of_another_folder_are_not_taken_over(prefect_api: str, tmp_path: Path) -> None:
    ours, theirs = (tmp_path / folder / "shop" / "nightrank.toml" for folder in "ab")
    name = tmp_path.name
    _ = served_of(theirs, name).deployment().apply()

    refuse_deployments_of_others([served_of(theirs, name), served_of(ours, f"{name}-other")])
    with pytest.raises(InputError) as refused:
        refuse_deployments_of_others([served_of(ours, name)])

    assert f"The deployment prune/{name} on this server is that of {theirs}, not of {ours}." in refused.value.message
    assert "--name" in refused.value.remedy
