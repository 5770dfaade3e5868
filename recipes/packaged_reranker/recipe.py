"""What the packaged reranker is made of: sources, how much of each is used, what is held out, and how it is learnt.

No query of a test split, and nothing of a collection that the reranker is measured on as a stranger, is among it;
where titles or sentences are the queries, no passage that a test split judges is either.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from nightrank.tasks.train.reranker.groups import GroupSettings
from nightrank.tasks.train.reranker.learn import LearningSettings

NAME = "nightrank-minilm"
MAX_LENGTH = 192  # tokens of a pair when the model is used
DEPTH = 50  # candidates of a query, in mining and in validation
HELD_SHARE = 0.2  # of the queries of a source, at most, that are held out
SPLIT_SEED = 7


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a source is made.

    Attributes:
        name: Of the source.
        share: Of all groups in training.
        path: A file of pairs or a folder in BEIR layout, below the folder of the data.
        licence: Of the data.
        max_pairs: Pairs that are read, of pages drawn at random; 0 reads all.
        first_queries: Queries that are read, the first of the file; 0 reads all.
        training_queries: Queries that are trained on at most, drawn at random.
        every: One query in so many is used.
        validation: Queries that are held out, with their documents.
        has_pages: Documents ``page-part`` belong together and are held out together.
        has_splits: The folder has a split ``val``, whose documents share no page ``page:part`` with those of ``train``.
        asks: ``queries``: the source's own; ``titles``: the titles of its passages, which are then shown without;
            ``sentences``: one sentence of each passage, which is then shown without it.
    """

    name: str
    share: float
    path: str
    licence: str
    max_pairs: int = 0
    first_queries: int = 0
    training_queries: int = 5000
    every: int = 1
    validation: int = 0
    has_pages: bool = False
    has_splits: bool = False
    asks: Literal["queries", "titles", "sentences"] = "queries"

    def mined(self) -> dict[str, object]:
        """What decides the mined source: all but its share of the groups, and the licence."""
        return {name: value for name, value in asdict(self).items() if name not in {"share", "licence"}}


_ABSTRACTS = "abstracts ODC-By"
_SQUAD = "CC BY-SA 4.0"
RECIPES = (
    Recipe("scifact", 0.15, "scifact", f"claims CC BY 4.0, {_ABSTRACTS}", validation=150),
    Recipe("titles", 0.12, "scifact", _ABSTRACTS, every=2, validation=150, asks="titles"),
    Recipe("sentences", 0.12, "scifact", _ABSTRACTS, every=2, validation=150, training_queries=2500, asks="sentences"),
    Recipe("fairytaleqa", 0.13, "fairytaleqa", "Apache-2.0", every=2, validation=150, has_splits=True),
    Recipe("squad_dev", 0.11, "training/squad_dev.jsonl", _SQUAD, validation=60, has_pages=True),
    Recipe(
        "squad_sentences",
        0.08,
        "training/squad_dev.jsonl",
        _SQUAD,
        validation=60,
        has_pages=True,
        training_queries=1500,
        asks="sentences",
    ),
    Recipe("squad_nqg", 0.09, "training/squad_nqg.jsonl", _SQUAD, first_queries=4000, validation=40),
    Recipe("medquad", 0.07, "training/medquad.jsonl", "CC BY 4.0", max_pairs=2500, validation=60, has_pages=True),
    Recipe("stackfaq", 0.05, "training/stackfaq.jsonl", "not named with the data", validation=60, has_pages=True),
    Recipe("pubmedqa", 0.05, "training/pubmedqa.jsonl", "MIT"),
    Recipe("wikiqa", 0.03, "training/wikiqa.jsonl", "not named with the data"),
)
GROUPS = GroupSettings(
    groups=4, near=4, far=2, anywhere=1, near_depth=15, max_lengths=(96, 128, 192), length_shares=(0.4, 0.35, 0.25)
)
LEARNING = LearningSettings(
    steps=1200, decay_steps=400, warm_up_steps=60, learning_rate=6e-5, average_decay=0.997, threads=2
)
