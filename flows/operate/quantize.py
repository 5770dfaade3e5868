"""Converting the reranker of the settings for OpenVINO, which runs it several times as fast on a CPU.

Pairs of the current release say what became of its scores: look at them, then name the folder as ``[reranker].model``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from nightrank.storage.errors import InputError
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.rerank.compare import agreement, draw_pairs, query_numbers, score_beside
from nightrank.tasks.rerank.find import NO_RERANKER, plan_local
from nightrank.tasks.rerank.lazy import LazyReranker
from nightrank.tasks.rerank.openvino_convert import convert
from nightrank.tasks.settings.ranking import NOT_HOSTED

if TYPE_CHECKING:
    from pathlib import Path

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.rerank.compare import Agreement

CHECKED_QUERIES, CHECKED_DEPTH = 20, 20  # pairs that are scored before and after


@dataclass(frozen=True, slots=True)
class Quantized:
    """A reranker that was converted.

    Attributes:
        output: Its folder.
        precision: Its own.
        pairs_per_second: How many pairs it scores in a second.
        pairs_per_second_before: How many the reranker of the settings scores.
        agreement: How far the scores of both agree.
    """

    output: Path
    precision: str
    pairs_per_second: float
    pairs_per_second_before: float
    agreement: Agreement

    def as_json(self) -> dict[str, JsonValue]:
        """The object of ``quantize --json``."""
        return {
            "output": str(self.output),
            "precision": self.precision,
            "pairs_per_second": self.pairs_per_second,
            "pairs_per_second_before": self.pairs_per_second_before,
            "agreement": {
                "correlation": self.agreement.correlation,
                "top": self.agreement.top,
                "first": self.agreement.first,
            },
        }


def quantize_reranker(
    configuration: Configuration, output: Path, *, precision: Literal["float32", "int8"], seed: int = 0
) -> Quantized:
    """Convert the reranker of the settings for OpenVINO.

    Args:
        configuration: The settings.
        output: The folder; must not be there.
        precision: Of the result.
        seed: Of the pairs that are drawn from the current release.

    Returns:
        What was made, how fast it is, and how far its scores agree.

    Raises:
        InputError: There is no release, no reranker that runs here, a prompt for it, or the folder is there.
    """
    settings, base = configuration.settings, configuration.base
    if settings.reranker.model == NO_RERANKER or settings.reranker.hosted.api != NOT_HOSTED:
        message = "The settings name no reranker that runs here."
        raise InputError(message, remedy="Name a cross-encoder as [reranker].model.")
    if settings.reranker.prompt is not None:
        raise InputError("In 8 bits a reranker takes no prompt.", remedy="Leave [reranker].prompt out.")
    plan = plan_local(settings.reranker, settings.execution, base=base)
    with configuration.workspace.reading():
        release = StoredRelease.open(configuration.workspace)
        generator = np.random.default_rng(seed)
        checked = draw_pairs(release, queries=CHECKED_QUERIES, depth=CHECKED_DEPTH, generator=generator)
    convert(plan, output, name=settings.reranker.model, precision=precision)
    unset = {"model": str(output.resolve()), "revision": None, "sha256": None, "max_tokens": None, "precision": "auto"}
    made = plan_local(settings.reranker.model_copy(update=unset), settings.execution, base=base)
    before, after = score_beside([LazyReranker(one, settings).load() for one in (plan, made)], checked)
    agreed = agreement(before.scores, after.scores, queries=query_numbers(checked))
    return Quantized(output, precision, after.pairs_per_second, before.pairs_per_second, agreed)
