"""``nightrank train``: models that learn from a collection's own pairs, clicks or documents.

Libraries that train are imported by the command that needs them, as everywhere on the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import App, Parameter

from nightrank.flows.cli.options import Config, Json, flag, print_json, quiet_prefect, settings_of, show
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

train = App(name="train", help="Train a model on your own pairs, clicks or documents, and promote it if it is better.")

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
    flag("Let the model replace the present one from the next refresh on, if it is better."),
]

Fresh = Annotated[bool, flag("Begin anew, whatever a stopped training left.")]


@train.command(sort_key=0)
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
    """Train the dual encoder on pairs, with mined negatives; a stopped training goes on."""
    from nightrank.tasks.train.embedder.options import EmbedderTraining

    settings_file, _ = settings_of(config)
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


@train.command(sort_key=2)
def promote(
    model: Annotated[str, Parameter(help="The name of a trained model: its folder in the workspace's models.")],
    *,
    config: Config = None,
    json_: Json = False,
) -> int:
    """Let a trained model replace the present one from the next refresh on, if it is better."""
    from datetime import UTC, datetime

    from nightrank.flows.train.promotion import find_trained, promote_model
    from nightrank.flows.train.terminal import show_promoted

    settings_file, configuration = settings_of(config)
    trained = find_trained(configuration, model)
    show(promote_model(settings_file, trained, now=datetime.now(UTC)), show_promoted, json_=json_)
    return 0


@train.command(sort_key=1)
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
    """Train the reranker on pairs, with mined negatives; a stopped training goes on."""
    from nightrank.tasks.train.reranker.options import RerankerTraining

    settings_file, _ = settings_of(config)
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


@train.command(sort_key=3)
def demote(
    kind: Annotated[Literal["embedder", "reranker"], Parameter(help="Of the promoted model.")],
    *,
    config: Config = None,
    json_: Json = False,
) -> int:
    """Take a promotion back: the next refresh uses the settings' own model again."""
    from nightrank.storage.workspace.models import demote as demote_model

    _, configuration = settings_of(config)
    promotion = demote_model(configuration.workspace, kind)
    if json_:
        print_json({"kind": kind, "demoted": None if promotion is None else promotion.model})
    else:
        from nightrank.flows.train.terminal import show_demoted

        show_demoted(kind, promotion)
    return 0


def pairs_asked(
    pairs: Path | None, qrels: Path | None, queries: Path | None, origin: str, *, held_out: float, seed: int
) -> PairSettings:
    """Which pairs the options of both trainings ask for."""
    from nightrank.tasks.train.settings import PairSettings

    chosen = {"pairs": pairs, "qrels": qrels, "queries": queries, "origin": origin}
    return checked(PairSettings, {**chosen, "held_out_share": held_out, "seed": seed})


def report_training(training: Callable[[], Trained], *, json_: bool) -> int:
    """Run a training and show what it made, also where that is not promoted.

    Raises:
        NotPromoted: Promotion was asked for and refused.
    """
    from nightrank.flows.engine.api import require_prefect
    from nightrank.flows.engine.outcome import run_flow
    from nightrank.flows.train.promotion import NotPromoted
    from nightrank.flows.train.terminal import show_trained

    require_prefect()
    refused: NotPromoted | None = None
    try:
        trained = run_flow(training)
    except NotPromoted as error:
        trained, refused = error.trained, error
    show(trained, show_trained, json_=json_)
    if refused is not None:
        raise refused
    return 0


def checked(model: type[M], values: Mapping[str, object]) -> M:
    """Options as a model has them.

    Raises:
        InputError: One is out of bounds; the message has the name that users know it by.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        fault = error.errors()[0]
        field = str(fault["loc"][0])
        name = "--" + OPTIONS.get((model.__name__, field), field).replace("_", "-")
        raise InputError(f"{name} {fault['input']} is wrong: {fault['msg']}.", remedy="Correct the option.") from error
