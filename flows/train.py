"""A training, from pairs to a model with a name: read top to bottom, it says what trains a dual encoder.

It may be stopped at any point, also by force: asked for again with the same options, it goes on where it was. Nights
go on meanwhile, and so does what they publish; a model takes effect by promotion alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow
from pydantic import BaseModel, ConfigDict

from flows.artifacts import show_training_in_prefect
from flows.promotion import Trained, present_model, promote_model
from flows.settings import load_settings
from storage.errors import InputError
from storage.keys import fingerprint, sha256_of_file
from storage.models import discard, training
from storage.releases import settings_as_json
from tasks.embedder import plan_embedder
from tasks.embedder_stages import guard_embedder, learn, measure_embedder, name_model, seal_trained
from tasks.embedder_training import require_training_libraries
from tasks.models import find_model
from tasks.training_card import TrainingCard
from tasks.training_guard import GuardFolder, GuardRelease
from tasks.training_run import TrainingRun
from tasks.training_settings import EmbedderTraining, PairSettings
from tasks.training_stages import gather_pairs, mine_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.settings import Configuration
    from storage.models import Kind
    from tasks.embedder_stages import Measured
    from tasks.training_guard import Guard
    from tasks.training_records import PairsGathered

JUDGED = (
    "The training saw judgments that releases are measured on; the measures of a release with this model flatter it."
)
UNSEEN = "The held-out figures do not."
WATCHED_TOO = (
    "The held-out queries are too few to be split: they chose the best of the training's models as well as they "
    "measured it, and their figures flatter it a little."
)


class EmbedderRequest(BaseModel):
    """What a training of a dual encoder is asked for.

    Attributes:
        pairs: Which pairs.
        training: How it learns.
        guard: A folder in BEIR layout, or a settings file; None for no guard.
        promote: Whether the model is to stand in for the present one, if it is better.
        fresh: Whether to begin anew, whatever a stopped run of the same training left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: PairSettings = PairSettings()
    training: EmbedderTraining = EmbedderTraining()
    guard: Path | None = None
    promote: bool = False
    fresh: bool = False


@flow(name="train embedder")
def train_embedder(settings_file: str, request: EmbedderRequest) -> Trained:
    """Train a dual encoder on the pairs of a collection, and promote it where that is asked for and it is better.

    Args:
        settings_file: Path of the settings.
        request: What is asked for.

    Raises:
        InputError: A setting, a file or an option is wrong, nothing is published yet, or there is too little to learn.
        NotPromoted: Promotion was asked for, and the model is no better, or the guard refuses.
        WorkspaceBusy: Another process is at this very training.
    """
    require_training_libraries()
    configuration = load_settings(Path(settings_file))
    now = datetime.now(UTC)
    guard = None if request.guard is None else guard_of(request.guard)
    base = request.training.base
    started_from = None if base is None else find_model(base, base=configuration.base, revision=None, sha256=None)
    seed = request.pairs.seed
    with working(configuration, "embedder", request.pairs, request.training, now=now, fresh=request.fresh) as run:
        gathered = gather_pairs(run, request.pairs)
        mined = mine_pairs(run, request.pairs, gathered)
        learnt = learn(run, request.training)
        measured = measure_embedder(run, request.training, seed=seed)
        guarded = None if guard is None else guard_embedder(run, guard, seed=seed)
        named = name_model(run)
        card = TrainingCard(
            kind="embedder",
            **named.model_dump(),
            base=run.settings.embedder.model if base is None else base,
            base_fingerprint=(run.embedder.files if started_from is None else started_from).fingerprint(),
            compared_with=run.embedder.fingerprint,
            release_id=gathered.release_id,
            created_at=now.isoformat(timespec="seconds"),
            nightrank=version("nightrank"),
            settings={"pairs": settings_as_json(request.pairs), "training": settings_as_json(request.training)},
            gathered=gathered,
            mined=mined,
            training=learnt.model_dump(),
            figures=measured.figures,
            guard=guarded,
            remarks=remarks_of(gathered, measured),
        )
        folder = seal_trained(run, card)
        discard(run.folder)
    seconds = (datetime.now(UTC) - now).total_seconds()
    trained = Trained(folder=folder, card=card, promoted=False, seconds=seconds)
    show_training_in_prefect(trained)
    return promote_model(Path(settings_file), trained, now=datetime.now(UTC)) if request.promote else trained


@contextmanager
def working(
    configuration: Configuration, kind: Kind, pairs: PairSettings, how: BaseModel, *, now: datetime, fresh: bool = False
) -> Iterator[TrainingRun]:
    """A training's folder, which the same training finds again until it is done.

    Args:
        configuration: The settings.
        kind: Of the model.
        pairs: Which pairs.
        how: How the model learns.
        now: When it begins.
        fresh: Whether what a stopped run left is thrown away.
    """
    settings, workspace = configuration.settings, configuration.workspace
    workspace.require_current()
    embedder = plan_embedder(settings.embedder, settings.execution, base=configuration.base)
    for path in (pairs.pairs, pairs.qrels, pairs.queries):
        if path is not None and not path.is_file():
            raise InputError(f"There is no file {path}.", remedy="Correct the path.")
    asked = {**settings_as_json(pairs), **dict.fromkeys(("pairs", "qrels", "queries"))}
    decisive = [version("nightrank"), asked, settings_as_json(how), embedder.fingerprint]
    decisive += [present_model(configuration, kind), *what_is_read(configuration, pairs)]
    with training(workspace, kind, key=fingerprint(decisive), now=now) as folder:
        if fresh:
            discard(folder)
            folder.mkdir()
        yield TrainingRun(settings, configuration.base, workspace, kind, folder, embedder)


def what_is_read(configuration: Configuration, pairs: PairSettings) -> list[object]:
    """What decides a training beside what it is asked for: the settings of its stages, the files that it reads."""
    settings, base = configuration.settings, configuration.base
    log, own = base / settings.queries.log, settings.judgments.qrels
    texts = log if pairs.queries is None else pairs.queries
    judged = [] if own is None else [base / own, texts]
    if pairs.pairs is not None:
        files = [pairs.pairs]
    elif pairs.qrels is not None:
        files = [pairs.qrels, texts]
    else:
        files = {"clicks": [log], "judgments": judged, "documents": [], "auto": [log, *judged]}[pairs.origin]
    sections = [settings.bm25, settings.retrieval, settings.reranker, *([settings.queries] if log in files else [])]
    digests = [sha256_of_file(path) if path.is_file() else None for path in files]
    return [*digests, *(settings_as_json(section) for section in sections)]


def guard_of(path: Path) -> Guard:
    """The collection that a path names: a folder in BEIR layout, or a settings file; read once, to see that it can be.

    Raises:
        InputError: It is neither, or has no judged query.
    """
    guard: Guard = GuardFolder(str(path), path)
    if not path.is_dir():
        configuration = load_settings(path)
        guard = GuardRelease(str(path), configuration.settings, configuration.base, configuration.workspace)
    guard.examination()
    return guard


def remarks_of(gathered: PairsGathered, measured: Measured) -> list[str]:
    """What a user should know of the pairs and the figures."""
    judged = [JUDGED if measured.watched_too else f"{JUDGED} {UNSEEN}"] if gathered.judged else []
    return [*judged, *([WATCHED_TOO] if measured.watched_too else [])]
