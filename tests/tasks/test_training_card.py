"""The card of a trained model, and what it says about a promotion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.errors import InputError
from tasks.training_card import CARD, Figure, Guarded, TrainingCard, read_training_card
from tasks.training_records import PairsGathered, PairsMined

if TYPE_CHECKING:
    from pathlib import Path


def figure(*, difference: float = 0.1, low: float = 0.05, p_value: float = 0.001) -> Figure:
    return Figure(
        stage="dense",
        measure="nDCG@10",
        queries=100,
        before=0.5,
        after=0.5 + difference,
        difference=difference,
        low=low,
        high=difference + 0.05,
        p_value=p_value,
    )


def card(decisive: Figure, *, guard: Guarded | None = None) -> TrainingCard:
    return TrainingCard(
        kind="embedder",
        fingerprint="f00d",
        weights_sha256="0" * 64,
        base="base",
        base_fingerprint="beef",
        compared_with="cafe",
        release_id="r1",
        created_at="2026-01-02T03:04:05+00:00",
        nightrank="0.1.0",
        settings={},
        gathered=PairsGathered(origin="clicks", release_id="r1", queries=9, queries_left_out=0, pairs=9, judged=False),
        mined=PairsMined(
            queries=8,
            queries_without_passage=0,
            queries_between=0,
            held_out_queries=1,
            held_out_documents=1,
            pairs=8,
            negatives=8,
            refused={},
            passages=9,
            evaluated_passages=9,
            whole_collection=True,
        ),
        training={"steps": 3, "best_step": 3},
        figures=[decisive, figure(difference=-0.4, low=-0.5)],  # others decide nothing
        guard=guard,
        remarks=[],
    )


def guarded(difference: float) -> Guarded:
    return Guarded(name="general", passages=9, allowed_loss=0.01, figure=figure(difference=difference, low=-1.0))


def test_a_gain_beyond_chance_is_promoted() -> None:
    assert card(figure()).refusals == []
    assert card(figure(), guard=guarded(-0.01)).refusals == []


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
    [reason] = card(figure(), guard=guarded(-0.011)).refusals
    assert reason == "nDCG@10 on general falls from 0.5000 to 0.4890, by more than 0.01"


def test_a_card_comes_back_from_its_file(tmp_path: Path) -> None:
    written = card(figure(), guard=guarded(0.1))
    (tmp_path / CARD).write_text(written.model_dump_json())
    assert read_training_card(tmp_path) == written

    (tmp_path / CARD).write_text("{}")
    with pytest.raises(InputError, match="is no card of a trained model"):
        read_training_card(tmp_path)
    with pytest.raises(InputError, match=r"has no training\.json"):
        read_training_card(tmp_path / "nowhere")
