"""What known items say of a release against the live one: the same items of the same documents, masked likewise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from nightrank.tasks.gates.quality import change_of_values
from nightrank.tasks.gates.rules import Incomparable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from nightrank.tasks.gates.rules import QualityChange

RESULTS = "results"  # the stage that is compared
LEAST_ITEMS = 10  # that both have


def known_change(
    before: pa.Table,
    after: pa.Table,
    *,
    texts: Mapping[str, str],
    measure: str,
    confidence: float,
    generator: np.random.Generator,
) -> QualityChange | Incomparable:
    """What a measure did on the known items that both releases have; items of edited documents are others.

    Args:
        before: Of the live release, schema EVALUATION.
        after: Of the new one.
        texts: Of the new one's items, by id.
        measure: As ir_measures writes it.
        confidence: Of the one-sided interval of the mean difference.
        generator: Of the bootstrap.
    """
    then, now = _values(before, measure), _values(after, measure)
    items = sorted(then.keys() & now.keys())
    if len(items) < LEAST_ITEMS:
        return Incomparable(f"both releases have {len(items)} known items in common, fewer than {LEAST_ITEMS}")
    old, new = (np.array([values[item] for item in items]) for values in (then, now))
    return change_of_values(
        old,
        new,
        names=[texts.get(item, item) for item in items],
        measure=measure,
        confidence=confidence,
        generator=generator,
        kind="known items",
    )


def _values(evaluation: pa.Table, measure: str) -> dict[str, float]:
    rows = evaluation.filter((pc.field("stage") == RESULTS) & (pc.field("measure") == measure))
    return dict(zip(rows.column("query_id").to_pylist(), rows.column("value").to_pylist(), strict=True))
