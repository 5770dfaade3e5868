"""A reranker's training, from pairs to a model with a name; as a dual encoder's, with stages of its own.

It may be stopped at any point, also by force: asked for again with the same options, it goes on where it was.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from prefect import flow
from pydantic import BaseModel, ConfigDict

from flows.artifacts import show_training_in_prefect
from flows.promotion import Trained, present_model, promote_model
from flows.settings import load_settings
from flows.train import remarks_of, working
from storage.errors import InputError
from storage.models import discard
from storage.releases import settings_as_json
from tasks.embedder_stages import name_model, seal_trained
from tasks.reranker_base import base_files, base_name
from tasks.reranker_options import RerankerTraining
from tasks.reranker_stages import learn_reranker, measure_reranker, teach
from tasks.training_card import TrainingCard
from tasks.training_settings import PairSettings
from tasks.training_stages import gather_pairs, mine_pairs


class RerankerRequest(BaseModel):
    """What a training of a reranker is asked for.

    Attributes:
        pairs: Which pairs.
        training: How it learns.
        promote: Whether the model is to stand in for the present one, if it is better.
        fresh: Whether to begin anew, whatever a stopped run of the same training left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: PairSettings = PairSettings()
    training: RerankerTraining = RerankerTraining()
    promote: bool = False
    fresh: bool = False


@flow(name="train reranker")
def train_reranker(settings_file: str, request: RerankerRequest) -> Trained:
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
    require_one_weight(configuration.settings.reranker.weight, request.training.weight)
    now = datetime.now(UTC)
    with working(configuration, "reranker", request.pairs, request.training, now=now, fresh=request.fresh) as run:
        base = base_name(run, request.training.base)
        _, base_fingerprint = base_files(run, base)
        gathered = gather_pairs(run, request.pairs)
        mined = mine_pairs(run, request.pairs, gathered)
        taught = None if request.training.teacher is None else teach(run, request.training)
        learnt = learn_reranker(run, request.training, queries=mined.queries)
        measured = measure_reranker(run, request.training)
        named = name_model(run)
        card = TrainingCard(
            kind="reranker",
            **named.model_dump(),
            base=base,
            base_fingerprint=base_fingerprint,
            compared_with=present_model(configuration, "reranker"),
            release_id=gathered.release_id,
            created_at=now.isoformat(timespec="seconds"),
            nightrank=version("nightrank"),
            settings={"pairs": settings_as_json(request.pairs), "training": settings_as_json(request.training)},
            gathered=gathered,
            mined=mined,
            training={
                **learnt.model_dump(),
                "measured_queries": measured.queries,
                "measured_depth": measured.depth,
                "pairs_taught": None if taught is None else taught.pairs,
            },
            figures=measured.figures,
            guard=None,
            remarks=remarks_of(gathered, measured),
            max_length=request.training.max_tokens,
            weight=measured.weight,
        )
        folder = seal_trained(run, card)
        discard(run.folder)
    trained = Trained(folder=folder, card=card, promoted=False, seconds=(datetime.now(UTC) - now).total_seconds())
    show_training_in_prefect(trained)
    return promote_model(Path(settings_file), trained, now=datetime.now(UTC)) if request.promote else trained


def require_one_weight(settings: float | None, asked: float | None) -> None:
    """See that a weight which is asked for will be used.

    Raises:
        InputError: The settings name another one, which counts.
    """
    if settings is not None and asked is not None and settings != asked:
        message = f"--weight {asked:g} would be without effect: [reranker].weight = {settings:g} counts."
        raise InputError(message, remedy="Leave one of the two out.")
