from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from storage.bm25_store import Bm25Store
from storage.records import LEG
from tasks.bm25 import retrieve_bm25
from tasks.bm25_audit import Bm25Audit, audit_bm25
from tasks.settings import Bm25Settings
from tests.tasks.bm25_collections import PLAIN, VARIANTS, Variant, build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEXTS = {"a": "x y y", "b": "x x z", "c": "y", "d": "x x x x y z w", "e": "v"}
QUERIES = ["x", "y z y", "w x y z", "u", "v v"]


def audited(
    store: Bm25Store,
    leg: pa.Table,
    settings: Bm25Settings,
    *,
    sample: int = 100,
    queries: Sequence[str] = QUERIES,
) -> Bm25Audit:
    return audit_bm25(
        store, queries, leg, settings=settings, analyser=PLAIN, sample=sample, generator=np.random.default_rng(0)
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_right_scores_pass_and_wrong_ones_do_not(tmp_path: Path, variant: Variant) -> None:
    settings = Bm25Settings(variant=variant)
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, QUERIES, settings=settings, analyser=PLAIN, depth=10)
        audit = audited(store, leg, settings)
        assert audit.pairs == leg.num_rows > 8
        assert audit.passed
        assert audit.largest_difference < 1e-6
        scores = leg["score"].to_numpy().copy()
        scores[3] += 0.001
        wrong = leg.set_column(2, LEG.field("score"), pa.array(scores))
        assert not audited(store, wrong, settings).passed


def test_another_variant_or_constant_does_not_pass(tmp_path: Path) -> None:
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, QUERIES, settings=Bm25Settings(), analyser=PLAIN, depth=10)
        for settings in [Bm25Settings(k1=1.21), Bm25Settings(b=0.7), *map(_of, VARIANTS[1:])]:
            assert not audited(store, leg, settings).passed


def _of(variant: Variant) -> Bm25Settings:
    return Bm25Settings(variant=variant)


def test_a_result_that_shares_no_term_with_its_query_does_not_pass(tmp_path: Path) -> None:
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = pa.table([[3], [0], [0.0], [1]], schema=LEG)  # "u" is in no chunk
        assert audited(store, leg, Bm25Settings()) == Bm25Audit(1, math.inf, 1e-5, passed=False)


def test_no_more_than_the_sample_is_compared_and_an_empty_leg_passes(tmp_path: Path) -> None:
    settings = Bm25Settings()
    with Bm25Store.open(build(tmp_path, TEXTS)) as store:
        leg = retrieve_bm25(store, QUERIES, settings=settings, analyser=PLAIN, depth=10)
        assert audited(store, leg, settings, sample=4).pairs == 4
        assert audited(store, leg.slice(0, 0), settings) == Bm25Audit(0, 0.0, 1e-5, passed=True)
