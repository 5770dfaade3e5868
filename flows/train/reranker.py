"""A reranker's training, from pairs to a model with a name; as a dual encoder's, with stages of its own.

It may be stopped at any point, also by force: asked for again with the same options, it goes on where it was.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.settings_file import load_settings
from nightrank.flows.train.promotion import Trained, present_model
from nightrank.flows.train.shared import Made, TrainingRequest, conclude, keep, working
from nightrank.storage.errors import InputError
from nightrank.tasks.train.reranker.base import base_files, base_name
from nightrank.tasks.train.reranker.options import RerankerTraining
from nightrank.tasks.train.reranker.stages import learn_reranker, measure_reranker, teach
from nightrank.tasks.train.stages import gather_pairs, mine_pairs


class RerankerRequest(TrainingRequest):
    """What a training of a reranker is asked for.

    Attributes:
        training: How it learns.
    """

    training: RerankerTraining = RerankerTraining()


AS_USUAL = RerankerRequest()


@nightrank_flow("train reranker")
def train_reranker(settings_file: str = "nightrank.toml", request: RerankerRequest = AS_USUAL) -> Trained:
    """Train a reranker on the pairs of a collection, and promote it where that is asked for and it is better.

    Args:
        settings_file: Path of the settings.
        request: What is asked for.

    Raises:
        InputError: A setting, a file or an option is wrong, nothing is published yet, or there is too little to learn.
        NotPromoted: Promotion was asked for, and the model is no better.
        WorkspaceBusy: Another process is at this very training.
    """
    configuration = load_settings(Path(settings_file))
    how = request.training
    require_one_weight(configuration.settings.reranker.weight, how.weight)
    now = datetime.now(UTC)
    with working(configuration, "reranker", request.pairs, how, now=now, fresh=request.fresh) as job:
        base = base_name(job, how.base)
        _, base_fingerprint = base_files(job, base)
        gathered = gather_pairs(job, request.pairs)
        mined = mine_pairs(job, request.pairs, gathered)
        taught = None if how.teacher is None else teach(job, how)
        learnt = learn_reranker(job, how, queries=mined.queries)
        measured = measure_reranker(job, how)
        made = Made(
            how=how,
            base=base,
            base_fingerprint=base_fingerprint,
            compared_with=present_model(configuration, "reranker"),
            training={
                **learnt.model_dump(),
                "test_queries": measured.queries,
                "test_depth": measured.depth,
                "pairs_taught": None if taught is None else taught.pairs,
            },
            measured=measured,
            max_length=how.max_tokens,
            weight=measured.weight,
        )
        trained = keep(job, request, gathered, mined, made, now=now)
    return conclude(Path(settings_file), trained, promote=request.promote)


def require_one_weight(settings: float | None, asked: float | None) -> None:
    """See that a weight which is asked for will be used.

    Raises:
        InputError: The settings name another one, which counts.
    """
    if settings is not None and asked is not None and settings != asked:
        message = f"--weight {asked:g} would have no effect: [reranker].weight = {settings:g} is used."
        raise InputError(message, remedy="Leave one of the two out.")
