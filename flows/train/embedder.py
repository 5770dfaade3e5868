"""A training, from pairs to a model with a name: read top to bottom, it says what trains a dual encoder.

It may be stopped at any point, also by force: asked for again with the same options, it goes on where it was. Nights
go on meanwhile, and so does what they publish; a model takes effect by promotion alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nightrank.flows.engine.flow import nightrank_flow
from nightrank.flows.settings_file import load_settings
from nightrank.flows.train.promotion import Trained
from nightrank.flows.train.shared import Made, TrainingRequest, conclude, keep, working
from nightrank.tasks.models.files import find_model
from nightrank.tasks.train.embedder.learn import require_training_libraries
from nightrank.tasks.train.embedder.options import EmbedderTraining
from nightrank.tasks.train.embedder.regression import RegressionFolder, RegressionRelease
from nightrank.tasks.train.embedder.stages import check_regression, learn, measure_embedder
from nightrank.tasks.train.stages import gather_pairs, mine_pairs

if TYPE_CHECKING:
    from nightrank.tasks.train.embedder.regression import RegressionSet


class EmbedderRequest(TrainingRequest):
    """What a training of a dual encoder is asked for.

    Attributes:
        training: How it learns.
        regression_set: A folder in BEIR layout, or a settings file; None for no regression set.
    """

    training: EmbedderTraining = EmbedderTraining()
    regression_set: Path | None = None


AS_USUAL = EmbedderRequest()


@nightrank_flow("train embedder")
def train_embedder(settings_file: str = "nightrank.toml", request: EmbedderRequest = AS_USUAL) -> Trained:
    """Train a dual encoder on the pairs of a collection, and promote it where that is asked for and it is better.

    Args:
        settings_file: Path of the settings.
        request: What is asked for.

    Raises:
        InputError: A setting, a file or an option is wrong, nothing is published yet, or there is too little to learn.
        NotPromoted: Promotion was asked for, and the model is no better, or the regression set refuses.
        WorkspaceBusy: Another process is at this very training.
    """
    require_training_libraries()
    configuration = load_settings(Path(settings_file))
    now = datetime.now(UTC)
    regression_set = None if request.regression_set is None else regression_set_of(request.regression_set)
    how, seed = request.training, request.pairs.seed
    base = how.base
    started_from = None if base is None else find_model(base, base=configuration.base, revision=None, sha256=None)
    with working(configuration, "embedder", request.pairs, how, now=now, fresh=request.fresh) as job:
        gathered = gather_pairs(job, request.pairs)
        mined = mine_pairs(job, request.pairs, gathered)
        learnt = learn(job, how)
        measured = measure_embedder(job, how, seed=seed)
        made = Made(
            how=how,
            base=job.settings.embedder.model if base is None else base,
            base_fingerprint=(job.embedder.files if started_from is None else started_from).fingerprint(),
            compared_with=job.embedder.fingerprint,
            training=learnt.model_dump(),
            measured=measured,
            regression_set=None if regression_set is None else check_regression(job, regression_set, seed=seed),
        )
        trained = keep(job, request, gathered, mined, made, now=now)
    return conclude(Path(settings_file), trained, promote=request.promote)


def regression_set_of(path: Path) -> RegressionSet:
    """The collection that a path names: a folder in BEIR layout, or a settings file; read once, to see that it can be.

    Raises:
        InputError: It is neither, or has no judged query.
    """
    regression_set: RegressionSet = RegressionFolder(str(path), path)
    if not path.is_dir():
        configuration = load_settings(path)
        regression_set = RegressionRelease(
            str(path), configuration.settings, configuration.base, configuration.workspace
        )
    regression_set.check()
    return regression_set
