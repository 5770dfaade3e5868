"""A fault that passes is tried again, and nothing else is."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import httpx
import pytest

from nightrank.flows.refresh import refresh
from nightrank.storage.errors import GateRefused, InputError, MachineError, WorkspaceBusy
from nightrank.tasks.runtime.retries import is_transient
from nightrank.tasks.stages import read as reading
from nightrank.tasks.stages.read import read_inputs
from nightrank.tasks.trec.qrels import judgments_of
from tests.support.published import check_readable

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.storage.records import Judgment
    from nightrank.tasks.read.account import Account
    from nightrank.tasks.settings.inputs import JudgmentsSettings
    from tests.support.collection import Collection


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError(), TimeoutError(), httpx.ReadTimeout(""), httpx.ConnectError(""), OSError(errno.ESTALE, "")],
    ids=repr,
)
def test_lost_connections_and_slow_servers_pass(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        *(kind("no") for kind in (InputError, GateRefused, WorkspaceBusy, MachineError)),
        OSError(errno.ENOSPC, ""),
        FileNotFoundError(errno.ENOENT, ""),
        MemoryError(),
        ValueError(),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_what_stays_wrong_is_not_tried_again(error: BaseException) -> None:
    assert not is_transient(error)


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "tries"), [(ConnectionResetError("gone"), 2), (InputError("wrong"), 1)], ids=["passing", "staying"]
)
def test_a_stage_is_tried_again_after_a_fault_that_passes(
    prefect_api: str, collection: Collection, monkeypatch: pytest.MonkeyPatch, fault: Exception, tries: int
) -> None:
    calls = []
    read_judgments = judgments_of

    def failing_once(settings: JudgmentsSettings, *, base: Path, account: Account) -> list[Judgment]:
        calls.append(1)
        if len(calls) == 1:
            raise fault
        return read_judgments(settings, base=base, account=account)

    monkeypatch.setattr(reading, "judgments_of", failing_once)
    monkeypatch.setattr(read_inputs, "retry_delay_seconds", [0.0, 0.0])

    if tries == 1:
        with pytest.raises(InputError):
            refresh(str(collection.settings_file))
    else:
        refresh(str(collection.settings_file))
        assert check_readable(collection.workspace).counts.documents == len(collection.documents)

    assert len(calls) == tries
