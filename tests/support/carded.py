"""Cards of trained models, for tests."""

from __future__ import annotations

from nightrank.tasks.models.card import Figure, PairsGathered, PairsMined, RegressionCheck, TrainingCard


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


def card(decisive: Figure, *, regression_set: RegressionCheck | None = None) -> TrainingCard:
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
            queries_straddling=0,
            held_out_queries=1,
            held_out_documents=1,
            pairs=8,
            negatives=8,
            false_negatives={},
            passages=9,
            evaluated_passages=9,
            whole_collection=True,
        ),
        training={"steps": 3, "best_step": 3},
        figures=[decisive, figure(difference=-0.4, low=-0.5)],  # others decide nothing
        regression_set=regression_set,
        remarks=[],
    )


def regression(difference: float) -> RegressionCheck:
    return RegressionCheck(
        name="general", passages=9, allowed_loss=0.01, figure=figure(difference=difference, low=-1.0)
    )
