"""What a takedown says: an erasure that knows nothing to search for claims no proof."""

from __future__ import annotations

import pytest

from nightrank.flows.operate.retract import TakenDown
from nightrank.flows.operate.retract_terminal import show_taken_down
from nightrank.storage.retracted.listed import Retracted
from nightrank.tasks.takedown.erase import Erased
from nightrank.tasks.takedown.retract import Changed


@pytest.mark.parametrize(("texts", "proves_little"), [(0, True), (2, False)])
def test_an_erasure_without_anything_to_search_for_says_so(
    capsys: pytest.CaptureFixture[str], texts: int, *, proves_little: bool
) -> None:
    erased = Erased(
        release_id="now",
        rewritten=None,
        releases_removed=(),
        looked_for={"ids": 1, "texts": texts, "keys": texts, "vectors": texts},
        shared_texts=0,
        shared_parts=0,
        files_searched=12,
        bytes_searched=34_000,
        found_before={},
        found_after={},
        left_in=(),
        waiting_for_readers=False,
    )
    changed = Changed(Retracted(), "now", held=frozenset(), listed=frozenset({"bees"}))

    show_taken_down(TakenDown(False, ("bees",), changed, (), (), (), erased))

    assert ("this proves little" in " ".join(capsys.readouterr().out.split())) == proves_little
