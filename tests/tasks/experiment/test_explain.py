from __future__ import annotations

from pathlib import Path

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.experiment.explain import run_names


def test_a_run_goes_by_its_files_name_unless_that_is_a_stages() -> None:
    paths = [Path("a/splade.run"), Path("b/bm25.run"), Path("c/colbert.v2.trec.gz"), Path("plain")]

    assert run_names(paths) == {
        "splade": paths[0],
        "bm25.run": paths[1],
        "colbert.v2": paths[2],
        "plain": paths[3],
    }


@pytest.mark.parametrize("names", [("a/x.run", "b/x.trec"), ("results",)])
def test_two_runs_of_one_name_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="has the same name"):
        run_names([Path(name) for name in names])
