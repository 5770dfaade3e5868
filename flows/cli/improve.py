"""Improve: better settings from judged queries, a faster reranker; training is in ``nightrank.flows.cli.train``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (cyclopts reads annotations)
from typing import Annotated, Literal

from cyclopts import Parameter

from nightrank.flows.cli.options import Config, Json, Qrels, Release, at_once, flag, quiet_prefect, settings_of, show


def tune(
    *,
    config: Config = None,
    release: Release = None,
    qrels: Qrels = None,
    folds: Annotated[int, Parameter(help="Folds of the cross-validation.")] = 5,
    max_depth: Annotated[
        int | None, Parameter(help="Candidates that may be reranked. Default: [reranker].depth of the settings.")
    ] = None,
    no_scoring: Annotated[bool, flag("Try only what needs no pair to be scored.", name="--no-scoring")] = False,
    fields: Annotated[
        bool, flag("Tune weights of titles and headings in BM25, too: statistics are made for each.")
    ] = False,
    seed: Annotated[int, Parameter(help="Seed of the folds.")] = 0,
    write: Annotated[bool, flag("Write a proved gain into the settings file, with its evidence.")] = False,
    json_: Json = False,
) -> int:
    """Fit the learned order to judged queries, choose fusion, weights and depth by them, cross-validated."""
    settings_file, _ = settings_of(config)
    quiet_prefect()
    from nightrank.flows.tune.flow import tune as tune_flow
    from nightrank.flows.tune.terminal import show_tuning

    tuning = at_once(tune_flow)(
        settings_file=str(settings_file),
        release_id=release,
        qrels=None if qrels is None else str(qrels),
        folds=folds,
        max_depth=max_depth,
        scoring=not no_scoring,
        fields=fields,
        write=write,
        seed=seed,
    )
    show(tuning, show_tuning, json_=json_)
    return 0


def quantize(
    *,
    config: Config = None,
    output: Annotated[Path, Parameter(help="Folder that is made; it must not be there.")],
    precision: Annotated[
        Literal["int8", "float32"],
        Parameter(help="int8: several times as fast, scores differ a little; float32: the same scores."),
    ] = "int8",
    seed: Annotated[int, Parameter(help="Seed of the pairs that are scored before and after.")] = 0,
    json_: Json = False,
) -> int:
    """Convert the reranker for OpenVINO: 8 bits, several times as fast on CPUs."""
    _, configuration = settings_of(config)
    from nightrank.flows.operate.quantize import quantize_reranker
    from nightrank.flows.operate.terminal import show_quantized

    quantized = quantize_reranker(configuration, output, precision=precision, seed=seed)
    show(quantized, show_quantized, json_=json_)
    return 0
