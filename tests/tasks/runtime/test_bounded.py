from __future__ import annotations

import ctypes
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError, MachineError
from nightrank.tasks.runtime.bounded import BoundedProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def call() -> Iterator[BoundedProcess]:
    with BoundedProcess(seconds=0.3, setting="some.setting") as process:
        yield process


def refuse(message: str) -> None:
    raise InputError(message, remedy="Mend it.")


def test_a_call_returns_and_raises_what_its_function_does(call: BoundedProcess) -> None:
    assert call(sorted, [3, 1], reverse=True) == [3, 1]
    with pytest.raises(InputError, match=r"It is wrong. Mend it."):
        call(refuse, "It is wrong.")


def test_what_runs_in_c_is_ended_and_the_next_call_is_made(call: BoundedProcess) -> None:
    with pytest.raises(ValueError, match=r"more than the 0.3 seconds of computing that some.setting allows"):
        call(re.match, r"(a+)+$", "a" * 40 + "b")
    assert call(len, "abc") == 3


def test_a_crash_and_want_of_memory_are_faults_of_what_is_read(call: BoundedProcess) -> None:
    with pytest.raises(ValueError, match="its reader crashed"):
        call(ctypes.string_at, 0)
    with pytest.raises(ValueError, match="more memory"):
        call(bytes, 64 << 30)


def test_an_end_from_outside_is_a_fault_of_the_machine(call: BoundedProcess) -> None:
    with pytest.raises(MachineError, match="ended by SIGKILL"):
        call(signal.raise_signal, signal.SIGKILL)
    assert call(os.getppid) == os.getpid()


def test_seconds_count_for_a_call_and_not_for_all(call: BoundedProcess) -> None:
    for _ in range(5):
        assert call(sum, range(3_000_000))


def test_files_of_the_folder_that_somebody_is_in_are_no_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    with BoundedProcess(seconds=1, setting="some.setting") as process:
        assert process(len, "ab") == 2
