"""The card of a trained model, and what it says about a promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.errors import InputError
from nightrank.tasks.models.card import CARD, Figure, read_training_card
from tests.support.carded import card, figure, regression

if TYPE_CHECKING:
    from pathlib import Path


def test_a_gain_beyond_chance_is_promoted() -> None:
    assert card(figure()).refusals == []
    assert card(figure(), regression_set=regression(-0.01)).refusals == []


@pytest.mark.parametrize(
    "decisive",
    [
        figure(difference=-0.1, low=-0.2),
        figure(difference=0.1, low=-0.01),
        figure(difference=0.0, low=0.0),
        figure(difference=0.1, low=0.01, p_value=0.06),  # few queries: an interval above 0, and yet nothing shown
    ],
)
def test_what_may_be_chance_is_refused(decisive: Figure) -> None:
    [reason] = card(decisive).refusals
    assert "no gain beyond chance" in reason
    assert f"{decisive.difference:+.4f}" in reason


def test_a_loss_on_the_guard_is_refused_however_large_the_gain() -> None:
    [reason] = card(figure(), regression_set=regression(-0.011)).refusals
    assert reason == "nDCG@10 on general falls from 0.5000 to 0.4890, by more than 0.01"


def test_a_card_comes_back_from_its_file(tmp_path: Path) -> None:
    written = card(figure(), regression_set=regression(0.1))
    (tmp_path / CARD).write_text(written.model_dump_json())
    assert read_training_card(tmp_path) == written

    (tmp_path / CARD).write_text("{}")
    with pytest.raises(InputError, match="is not the card of a trained model"):
        read_training_card(tmp_path)
    with pytest.raises(InputError, match=r"has no training\.json"):
        read_training_card(tmp_path / "nowhere")
