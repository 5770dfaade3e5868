"""Making a reranker a folder that OpenVINO runs, several times as fast on a CPU, with one command.

    python -m nightrank.flows.operate.quantize -c nightrank.toml --output FOLDER [--precision float32]

The reranker is the one that the settings name. Pairs of the current release tell what became of its scores: look at
them, then name the folder as ``[reranker].model``.
"""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 (cyclopts reads annotations)
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import App, Parameter

from nightrank.flows.settings import find_settings_file, load_settings
from nightrank.storage.errors import InputError, NightrankError
from nightrank.tasks.release import StoredRelease
from nightrank.tasks.rerank.compare import Agreement, agreement, draw_pairs, query_numbers, score_beside
from nightrank.tasks.rerank.find import NO_RERANKER, plan_local
from nightrank.tasks.rerank.lazy import LazyReranker
from nightrank.tasks.rerank.openvino_convert import convert
from nightrank.tasks.settings.ranking import NOT_HOSTED

if TYPE_CHECKING:
    from nightrank.flows.settings import Configuration

app = App(name="nightrank.flows.operate.quantize", help="Make a reranker for OpenVINO.")

CHECKED_QUERIES, CHECKED_DEPTH = 20, 20  # pairs that tell what became of the scores


def make_openvino_reranker(
    configuration: Configuration, output: Path, *, precision: Literal["float32", "int8"], seed: int = 0
) -> tuple[list[float], Agreement]:
    """Make the reranker of the settings a folder for OpenVINO.

    Args:
        configuration: The settings.
        output: The folder; must not be there.
        precision: Of the result.
        seed: Of the pairs that are drawn from the current release.

    Returns:
        Pairs a second before and after, and how much the scores agree.

    Raises:
        InputError: There is no release, no reranker that runs here, or the folder is there.
    """
    settings, base = configuration.settings, configuration.base
    if settings.reranker.model == NO_RERANKER or settings.reranker.hosted.api != NOT_HOSTED:
        message = "The settings name no reranker that runs here."
        raise InputError(message, remedy="Name a cross-encoder as [reranker].model.")
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
    return [before.pairs_per_second, after.pairs_per_second], agreed


@app.default
def main(
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    output: Path,
    precision: Literal["float32", "int8"] = "int8",
    seed: int = 0,
) -> None:
    """Make the reranker of the settings a folder for OpenVINO.

    Args:
        config: Settings file; default: nightrank.toml here, else the demo's.
        output: The folder that is made.
        precision: int8 (fast, scores differ a little) or float32 (the same scores).
        seed: Of the pairs that are drawn.
    """
    try:
        configuration = load_settings(find_settings_file(config))
        (before, after), agreed = make_openvino_reranker(configuration, output, precision=precision, seed=seed)
    except NightrankError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(
        f"{output}: {after:.0f} pairs a second instead of {before:.0f}. Scores correlate by {agreed.correlation:.4f}; "
        f"{agreed.top:.1%} of the best ten and {agreed.first:.0%} of the first are the same.\n"
        f'Name it as [reranker].model = "{output}"; try it: `nightrank evaluate --grid reranker.model={output}`.\n'
    )


if __name__ == "__main__":
    app()
