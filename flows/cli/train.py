"""``nightrank train``: models that learn from a collection's own pairs, clicks or documents.

Libraries that train are imported by the command that needs them, as everywhere on the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import App, Parameter

from nightrank.flows.cli.options import Config, Json, print_json, quiet_prefect
from nightrank.storage.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from nightrank.flows.train.promotion import Trained
    from nightrank.tasks.train.settings import PairSettings

    M = TypeVar("M", bound=BaseModel)

# Options that are not called as the field that they fill.
OPTIONS = {
    ("PairSettings", "origin"): "from",
    ("PairSettings", "held_out_share"): "held_out",
    ("RerankerTraining", "queries"): "batch",
}

train = App(name="train", help="Train a model on your own pairs, clicks or documents, and promote what is better.")

Pairs = Annotated[
    Path | None, Parameter(help="JSONL of query, title, text, document_id: a question and a passage that answers it.")
]
Qrels = Annotated[Path | None, Parameter(help="Judgments to learn from, BEIR TSV or TREC.")]
Queries = Annotated[Path | None, Parameter(help="Texts of the judged queries. Default: the query log.")]
From = Annotated[
    Literal["auto", "clicks", "judgments", "documents"],
    Parameter(
        name="--from",
        help="Where pairs come from: the log's column `clicked`, the settings' judgments, the documents' titles; or "
        "the first of these that has any.",
    ),
]
HeldOut = Annotated[float, Parameter(help="Share of the queries that are measured on, with all their documents.")]
Base = Annotated[str | None, Parameter(help="Model to start from: a folder or a hub id. Default: the present one.")]
RerankerBase = Annotated[
    str | None,
    Parameter(
        help="Model to start from: a folder, a hub id, a packaged name, or `embedder` for its weights with a fresh "
        "head. Default: the present reranker."
    ),
]
MostSteps = Annotated[int, Parameter(help="Updates at most.")]
QueriesAnUpdate = Annotated[int, Parameter(help="Queries an update.")]
QueryNegatives = Annotated[int, Parameter(help="Mined negatives of a query in an update.")]
Loss = Annotated[
    Literal["listwise", "bce"], Parameter(help="Over a query's passages together, or over each for itself.")
]
Teacher = Annotated[
    str | None, Parameter(help="A reranker whose scores are learnt beside the answers: a folder or a hub id.")
]
Weight = Annotated[
    float | None, Parameter(help="Of the reranker against the first stage. Default: what suits the held-out queries.")
]
PairTokens = Annotated[int, Parameter(help="Of a query and a passage, in training and in use; what is longer is cut.")]
Epochs = Annotated[float, Parameter(help="Passes over the pairs.")]
Steps = Annotated[int | None, Parameter(help="Updates, instead of passes.")]
Batch = Annotated[int, Parameter(help="Pairs an update; the passages of the others are each query's negatives.")]
MiniBatch = Annotated[int, Parameter(help="Pairs in memory at one time; a larger batch is learnt from in parts.")]
Negatives = Annotated[int, Parameter(help="Mined negatives a pair.")]
LearningRate = Annotated[float, Parameter(help="The highest.")]
MaxTokens = Annotated[int, Parameter(help="Longer texts are cut in training.")]
BaseShare = Annotated[
    float, Parameter(help="Of the outcome's weights, that the model it started from keeps: less is lost elsewhere.")
]
Seed = Annotated[int, Parameter(help="Decides what is drawn and held out.")]
RegressionSet = Annotated[
    Path | None,
    Parameter(help="A general collection, as BEIR folder or settings file: no promotion where the model loses there."),
]
Promote = Annotated[
    bool,
    Parameter(negative="", help="From the next refresh on the model stands in for the present one, if it is better."),
]

Fresh = Annotated[bool, Parameter(negative="", help="Begin anew, whatever a stopped run of the same training left.")]


@train.command
def embedder(
    *,
    config: Config = None,
    pairs: Pairs = None,
    qrels: Qrels = None,
    queries: Queries = None,
    from_: From = "auto",
    held_out: HeldOut = 0.1,
    base: Base = None,
    epochs: Epochs = 1.0,
    steps: Steps = None,
    batch: Batch = 32,
    mini_batch: MiniBatch = 64,
    negatives: Negatives = 1,
    learning_rate: LearningRate = 5e-5,
    max_tokens: MaxTokens = 192,
    base_share: BaseShare = 0.0,
    seed: Seed = 0,
    regression_set: RegressionSet = None,
    promote: Promote = False,
    fresh: Fresh = False,
    json_: Json = False,
) -> int:
    """Train the dual encoder, with the other passages of a batch and mined candidates as negatives.

    A training that was stopped goes on when it is asked for again.
    """
    from nightrank.tasks.train.embedder.options import EmbedderTraining

    settings_file = settings_file_of(config)
    asked = pairs_asked(pairs, qrels, queries, from_, held_out=held_out, seed=seed)
    how = checked(
        EmbedderTraining,
        {
            "base": base,
            "epochs": epochs,
            "steps": steps,
            "batch": batch,
            "mini_batch": mini_batch,
            "negatives": negatives,
            "learning_rate": learning_rate,
            "max_tokens": max_tokens,
            "base_share": base_share,
            "seed": seed,
        },
    )
    quiet_prefect()
    from nightrank.flows.train.embedder import EmbedderRequest, train_embedder

    request = EmbedderRequest(pairs=asked, training=how, regression_set=regression_set, promote=promote, fresh=fresh)
    return report_training(lambda: train_embedder(str(settings_file), request), json_=json_)


@train.command
def promote(
    model: Annotated[str, Parameter(help="The name of a trained model: its folder in the workspace's models.")],
    *,
    config: Config = None,
    json_: Json = False,
) -> int:
    """Let a model that was trained before stand in for the present one, if it is better."""
    from datetime import UTC, datetime

    from nightrank.flows.settings import find_settings_file, load_settings
    from nightrank.flows.train.promotion import find_trained, promote_model

    settings_file = find_settings_file(config)
    trained = find_trained(load_settings(settings_file), model)
    promoted = promote_model(settings_file, trained, now=datetime.now(UTC))
    if json_:
        print_json(promoted.as_json())
    else:
        from nightrank.flows.train.terminal import show_promoted

        show_promoted(promoted)
    return 0


@train.command
def reranker(
    *,
    config: Config = None,
    pairs: Pairs = None,
    qrels: Qrels = None,
    queries: Queries = None,
    from_: From = "auto",
    held_out: HeldOut = 0.1,
    base: RerankerBase = None,
    epochs: Epochs = 3.0,
    steps: MostSteps = 400,
    batch: QueriesAnUpdate = 4,
    negatives: QueryNegatives = 7,
    loss: Loss = "listwise",
    teacher: Teacher = None,
    weight: Weight = None,
    learning_rate: LearningRate = 6e-5,
    max_tokens: PairTokens = 192,
    seed: Seed = 0,
    promote: Promote = False,
    fresh: Fresh = False,
    json_: Json = False,
) -> int:
    """Train the reranker, on each query's answers and several mined candidates that are none.

    A training that was stopped goes on when it is asked for again.
    """
    from nightrank.tasks.train.reranker.options import RerankerTraining

    settings_file = settings_file_of(config)
    asked = pairs_asked(pairs, qrels, queries, from_, held_out=held_out, seed=seed)
    how = checked(
        RerankerTraining,
        {
            "base": base,
            "epochs": epochs,
            "steps": steps,
            "queries": batch,
            "negatives": negatives,
            "loss": loss,
            "teacher": teacher,
            "weight": weight,
            "learning_rate": learning_rate,
            "max_tokens": max_tokens,
            "seed": seed,
        },
    )
    quiet_prefect()
    from nightrank.flows.train.reranker import RerankerRequest, train_reranker

    request = RerankerRequest(pairs=asked, training=how, promote=promote, fresh=fresh)
    return report_training(lambda: train_reranker(str(settings_file), request), json_=json_)


@train.command
def demote(
    kind: Annotated[Literal["embedder", "reranker"], Parameter(help="Of the promoted model.")],
    *,
    config: Config = None,
    json_: Json = False,
) -> int:
    """Take a promotion back: from the next refresh on the settings' own model counts again."""
    from nightrank.flows.settings import find_settings_file, load_settings
    from nightrank.storage.workspace.models import demote as demote_model

    promotion = demote_model(load_settings(find_settings_file(config)).workspace, kind)
    if json_:
        print_json({"kind": kind, "demoted": None if promotion is None else promotion.model})
    else:
        from nightrank.flows.train.terminal import show_demoted

        show_demoted(kind, promotion)
    return 0


def settings_file_of(config: Path | None) -> Path:
    """The settings file, read once: a mistake in it is told before Prefect's server starts."""
    from nightrank.flows.settings import find_settings_file, load_settings

    settings_file = find_settings_file(config)
    load_settings(settings_file)
    return settings_file


def pairs_asked(
    pairs: Path | None, qrels: Path | None, queries: Path | None, origin: str, *, held_out: float, seed: int
) -> PairSettings:
    """Which pairs the options of both trainings ask for."""
    from nightrank.tasks.train.settings import PairSettings

    chosen = {"pairs": pairs, "qrels": qrels, "queries": queries, "origin": origin}
    return checked(PairSettings, {**chosen, "held_out_share": held_out, "seed": seed})


def report_training(training: Callable[[], Trained], *, json_: bool) -> int:
    """Run a training and tell what it made, also where that is not promoted.

    Raises:
        NotPromoted: Promotion was asked for and refused.
    """
    from nightrank.flows.engine.api import require_prefect
    from nightrank.flows.train.promotion import NotPromoted

    require_prefect()
    refused: NotPromoted | None = None
    try:
        trained = training()
    except NotPromoted as error:
        trained, refused = error.trained, error
    if json_:
        print_json(trained.as_json())
    else:
        from nightrank.flows.train.terminal import show_trained

        show_trained(trained)
    if refused is not None:
        raise refused
    return 0


def checked(model: type[M], values: Mapping[str, object]) -> M:
    """Options as a model has them.

    Raises:
        InputError: One is out of bounds; it is told by the name that users know it by.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        fault = error.errors()[0]
        field = str(fault["loc"][0])
        name = "--" + OPTIONS.get((model.__name__, field), field).replace("_", "-")
        raise InputError(f"{name} {fault['input']} is wrong: {fault['msg']}.", remedy="Correct the option.") from error
