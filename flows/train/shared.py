"""What both trainings share: what each is asked for, where it works, and what becomes of what it made."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from nightrank.flows.train.artifacts import show_training_in_prefect
from nightrank.flows.train.promotion import Trained, present_model, promote_model
from nightrank.storage.errors import InputError
from nightrank.storage.files.listing import files_below
from nightrank.storage.keys import fingerprint, sha256_of_file
from nightrank.storage.release.manifest import settings_as_json
from nightrank.storage.workspace.models import discard, training
from nightrank.tasks.embed.encoder import plan_embedder
from nightrank.tasks.models.card import TrainingCard
from nightrank.tasks.query_log.file.find import log_files
from nightrank.tasks.read.account import Account
from nightrank.tasks.train.commit import commit_trained, name_model
from nightrank.tasks.train.job import TrainingJob
from nightrank.tasks.train.settings import PairSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.flows.settings_file import Configuration
    from nightrank.storage.workspace.models import ModelKind
    from nightrank.tasks.models.card import PairsGathered, PairsMined, RegressionCheck
    from nightrank.tasks.train.commit import Measured

JUDGED = (
    "The training saw judgments that releases are measured on; the measures of a release with this model flatter it."
)
UNSEEN = "The held-out figures do not."
VALIDATION_REUSED = (
    "The held-out queries are too few to be split: they chose the best of the training's models as well as they "
    "measured it, and their figures flatter it a little."
)


class TrainingRequest(BaseModel):
    """What any training is asked for.

    Attributes:
        pairs: Which pairs.
        promote: Whether the model is to stand in for the present one, if it is better.
        fresh: Whether to begin anew, whatever a stopped run of the same training left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: PairSettings = PairSettings()
    promote: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What a training's own stages made; attributes that are none of ours are :class:`TrainingCard`'s.

    Attributes:
        how: How the model was to learn.
        training: What the training did.
        measured: Held-out queries, before and after.
    """

    how: BaseModel
    base: str
    base_fingerprint: str
    compared_with: str
    training: dict[str, int | float | str | bool | None]
    measured: Measured
    regression_set: RegressionCheck | None = None
    max_length: int | None = None
    weight: float | None = None


@contextmanager
def working(
    configuration: Configuration,
    kind: ModelKind,
    pairs: PairSettings,
    how: BaseModel,
    *,
    now: datetime,
    fresh: bool = False,
) -> Iterator[TrainingJob]:
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
    key = training_key(configuration, kind, pairs, how)
    with training(workspace, kind, key=key, now=now) as folder:
        if fresh:
            discard(folder)
            folder.mkdir()
        yield TrainingJob(settings, configuration.base, workspace, kind, folder, embedder, key)


def training_key(configuration: Configuration, kind: ModelKind, pairs: PairSettings, how: BaseModel) -> str:
    """The key of everything that decides a training, but for the release that it mines, and guards."""
    asked = {**settings_as_json(pairs), **dict.fromkeys(("pairs", "qrels", "queries"))}
    settings, base = configuration.settings, configuration.base
    embedder = plan_embedder(settings.embedder, settings.execution, base=base).fingerprint
    decisive = [version("nightrank"), asked, settings_as_json(how), embedder]
    models = _files_of_models(how, base=base)
    return fingerprint([*decisive, present_model(configuration, kind), *models, *what_is_read(configuration, pairs)])


def _files_of_models(how: BaseModel, *, base: Path) -> list[str]:
    """The digests of the files in the folders of models that a training is to start from, or to learn from."""
    named = [getattr(how, field, None) for field in ("base", "teacher")]
    folders = [base / name for name in named if name is not None and (base / name).is_dir()]
    return [sha256_of_file(path) for folder in folders for path in sorted(files_below(folder))]


def what_is_read(configuration: Configuration, pairs: PairSettings) -> list[object]:
    """What decides a training beside what it is asked for: the settings of its stages, the files that it reads."""
    settings, base = configuration.settings, configuration.base
    own = settings.judgments.qrels
    log = [log.file.path for log in log_files(settings.queries, base=base, account=Account())]
    texts = log if pairs.queries is None else [pairs.queries]
    judged = [] if own is None else [base / own, *texts]
    if pairs.pairs is not None:
        files = [pairs.pairs]
    elif pairs.qrels is not None:
        files = [pairs.qrels, *texts, *judged[:1]]
    else:
        files = {"clicks": log, "judgments": judged, "documents": [], "auto": [*log, *judged]}[pairs.origin]
    rules = [settings.queries] if set(log) & set(files) else []
    sections = [settings.bm25, settings.retrieval, settings.reranker, *rules]
    digests = [sha256_of_file(path) if path.is_file() else None for path in files]
    return [*digests, *(settings_as_json(section) for section in sections)]


def keep(
    job: TrainingJob, request: TrainingRequest, gathered: PairsGathered, mined: PairsMined, made: Made, *, now: datetime
) -> Trained:
    """Give a trained model its card and its name; the training is over.

    Args:
        job: The training.
        request: What it was asked for.
        gathered: Where its pairs come from.
        mined: What it learnt from.
        made: What its own stages made.
        now: When it began.
    """
    card = TrainingCard(
        kind=job.kind,
        **name_model(job).model_dump(),
        key=job.key,
        base=made.base,
        base_fingerprint=made.base_fingerprint,
        compared_with=made.compared_with,
        release_id=gathered.release_id,
        created_at=now.isoformat(timespec="seconds"),
        nightrank=version("nightrank"),
        settings={"pairs": settings_as_json(request.pairs), "training": settings_as_json(made.how)},
        gathered=gathered,
        mined=mined,
        training=made.training,
        figures=made.measured.figures,
        regression_set=made.regression_set,
        remarks=remarks_of(gathered, made.measured),
        max_length=made.max_length,
        weight=made.weight,
    )
    folder = commit_trained(job, card)
    discard(job.folder)
    return Trained(folder=folder, card=card, promoted=False, seconds=(datetime.now(UTC) - now).total_seconds())


def conclude(settings_file: Path, trained: Trained, *, promote: bool) -> Trained:
    """Show what was trained, and promote it where that is asked for.

    Raises:
        NotPromoted: It is no better than the present model, or a regression set refuses.
    """
    show_training_in_prefect(trained)
    return promote_model(settings_file, trained, now=datetime.now(UTC)) if promote else trained


def remarks_of(gathered: PairsGathered, measured: Measured) -> list[str]:
    """What a user should know of the pairs and the figures."""
    judged = [JUDGED if measured.validation_reused else f"{JUDGED} {UNSEEN}"] if gathered.judged else []
    return [*judged, *([VALIDATION_REUSED] if measured.validation_reused else [])]
