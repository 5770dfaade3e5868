"""The card of the packaged reranker: what it was made of, what its run saw, and what a user should know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nightrank.storage.keys import sha256_of_file
from nightrank.tasks.rerank.packaged import BASE_PACKAGE, CARD_FILE, DELTA_FILE, RerankerCard, base_folder, read_card
from recipes.packaged_reranker.recipe import EVALUATION, FAMILIES, HELD_SHARE, MAX_LENGTH, NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nightrank.tasks.train.reranker.groups import GroupSettings
    from nightrank.tasks.train.reranker.learn import LearningSettings
    from recipes.packaged_reranker.recipe import Source

COMMAND = "python -m recipes.packaged_reranker --data DIR --output DIR"
FIGURES = "nDCG@10 of the first {depth} candidates on queries never learnt from"
# Of the settings, what families say instead, what is not asked for here, and what decides nothing.
UNUSED = {"label_share", "max_lengths", "length_shares", "validate_every", "patience", "threads", "checkpoint_seconds"}
REMARKS = (
    "English. Reads (normalised query, title + newline + text); gives raw logits; meant for the candidates of BM25 and "
    "all-MiniLM-L6-v2, with the packaged learned order or the weight given here.",
    "Weight, where it is not the learned order's: a compromise; yours is best set on your judgments. In the "
    "figures `two legs` and `three legs` are the fused orders of BM25, the dual encoder and a "
    "learned sparse encoder without a reranker, `alone` is the reranker's order; the numbers are weights.",
    f"Never seen: passages that share a run of 13 words with a document of {', '.join(EVALUATION)} or the demo, "
    "and queries of these, but for claims and questions of SciFact's and FairytaleQA's split `train` and what only "
    "these judge: no document that SciFact's test judges, no story of FairytaleQA's other splits. The figures' "
    f"collections were left out whole, or are the {HELD_SHARE:.0%} of each source's documents that were held out with "
    "whatever shares a run of 13 words with them. Held-out documents are like those of training, so other collections "
    "may gain less.",
    "Nothing names a licence for `stackfaq` and `wikiqa` in the data; `stackexchange` names the site's own (CC BY-SA). "
    "No text is part of the model's files.",
    "Threads add in another order in each run, so a rerun gives weights that are alike, not equal.",
)
STARTED_REMARK = (
    "It goes on from the version before (training, `started from`), which read other slices of some of the same "
    "sources, with another split of held-out documents: of these, figures on collections left out whole alone are of "
    "what neither saw. SciFact's passages, those that its test judges among them, were read by that version."
)


@dataclass(frozen=True, slots=True)
class Run:
    """What a training saw.

    Attributes:
        pairs: That were scored.
        steps: Updates.
        tokens: Of the pairs, padding not counted.
        seconds: That this took.
        device: On which.
    """

    pairs: int
    steps: int
    tokens: int
    seconds: int
    device: str


def card_of(
    folder: Path,
    sources: Sequence[Source],
    *,
    licences: Mapping[str, Sequence[str]],
    mined: Mapping[str, int],
    learning: LearningSettings,
    groups: GroupSettings,
    start: Path | None,
    run: Run,
    weight: float,
    figures: Mapping[str, object],
    remarks: Sequence[str] = (),
    command: str = COMMAND,
) -> RerankerCard:
    """The card of a delta.

    Args:
        folder: Holds the delta.
        sources: All of the recipe's, those left out whole among them.
        licences: Of each source's rows.
        mined: Queries of each source that were learnt from.
        learning: How it learnt.
        groups: How groups were drawn.
        start: The folder of the earlier reranker that it went on from.
        run: What it saw.
        weight: Of the reranker against the first stage.
        figures: By what they are of.
        remarks: Besides the usual ones.
        command: What makes it.
    """
    usual = list(REMARKS)
    settings: dict[str, Any] = {
        "learning": learning.model_dump(mode="json", exclude=UNUSED),
        "groups": groups.model_dump(mode="json", exclude=UNUSED),
        "families": {name: _plain(asdict(family)) for name, family in FAMILIES.items()},
        "queries": dict(mined),
        "left out whole": [source.name for source in sources if source.left_out],
        "seen": asdict(run),
    }
    if start is not None:
        usual.insert(1, STARTED_REMARK)
        if (start / CARD_FILE).is_file():
            earlier = read_card(start)
            settings["started from"] = {
                "delta_sha256": earlier.delta_sha256,
                "training": earlier.training,
                "data": earlier.data,
            }
    return RerankerCard(
        name=NAME,
        base_package=BASE_PACKAGE,
        base_sha256=sha256_of_file(base_folder() / "model.safetensors"),
        delta_sha256=sha256_of_file(folder / DELTA_FILE),
        max_length=MAX_LENGTH,
        weight=weight,
        data=[
            {"source": source.name, "path": source.path, "licence": "; ".join(licences[source.name])}
            for source in sources
            if not source.left_out
        ],
        training=settings,
        figures=dict(figures),
        command=command if start is None else f"{command} --start EARLIER",
        remarks=[*usual, *remarks],
    )


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    """With keys that JSON has."""
    return {
        name: {str(key): each for key, each in value.items()} if isinstance(value, dict) else value
        for name, value in values.items()
    }
