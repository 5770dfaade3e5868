"""Stages become Prefect's tasks in one way, and are tried again only where they say so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn, cast

import pytest

from nightrank.tasks.runtime.retries import Retry
from nightrank.tasks.runtime.stage_task import stage_task

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("folder", ["flows", "tasks", "storage", "recipes"])
def test_no_other_module_makes_a_task(folder: str) -> None:
    makes = re.compile(r"^from prefect import .*\btask\b|\bprefect\.task\b", re.MULTILINE)
    found = [path.name for path in (ROOT / folder).rglob("*.py") if makes.search(path.read_text(encoding="utf-8"))]
    assert found == (["stage_task.py"] if folder == "tasks" else [])


def test_a_stage_is_the_function_that_it_was_and_never_tried_again_unless_told_so() -> None:
    @stage_task("double")
    def double(number: int) -> int:
        return 2 * number

    assert (double.name, double.fn(21), double.retries) == ("double", 42, 0)


class Ended:
    """The state of a run that ended with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def result(self) -> NoReturn:
        raise self.error


@pytest.mark.parametrize(("error", "again"), [(ConnectionError("gone"), True), (ValueError("wrong"), False)], ids=repr)
def test_what_may_pass_is_asked_of_the_error(error: Exception, again: bool) -> None:
    @stage_task("fail", retry=Retry((0.5, 2.0), lambda caught: isinstance(caught, ConnectionError)))
    def fail() -> None:
        raise error

    assert (fail.retries, fail.retry_delay_seconds) == (2, [0.5, 2.0])
    assert fail.retry_condition_fn is not None
    assert cast("bool", fail.retry_condition_fn(fail, None, Ended(error))) is again  # type: ignore[arg-type]
