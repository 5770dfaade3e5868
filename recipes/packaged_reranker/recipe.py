"""What the packaged reranker is made of: sources, how much of each is used, what is held out, and how it is learnt.

No query of a test split, and nothing that says what a document of a collection to measure on says, is among it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nightrank.tasks.train.reranker.groups import GroupSettings
from nightrank.tasks.train.reranker.learn import LearningSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "nightrank-minilm"
MAX_LENGTH = 192  # tokens of a pair when the model is used
WEIGHT = (
    0.3  # where plain weights order: a compromise, which the few queries of the card do not tell from its neighbours
)
SEED = 20261129
HELD_SHARE = 0.08  # of a source's documents, that are held out
PASSAGES, QUERIES = 360, 300  # of a source, at most: a slice
LEFT_OUT_QUERIES = 400  # of a source that is left out whole
EVALUATION = ("scifact", "fairytaleqa", "cran", "arguana", "vaswani", "climate_fever", "cystic_fibrosis")


@dataclass(frozen=True, slots=True)
class Family:
    """Sources that are alike in what they ask.

    Attributes:
        share: Of all groups.
        length_shares: How often which tokens of a pair: headings say at once what they are about, answers stand
            anywhere.
        label_share: Of the target, that the answer gets; the three legs' opinion gets the rest.
    """

    share: float
    length_shares: Mapping[int, float]
    label_share: float


FAMILIES = {
    "docs": Family(0.46, {64: 0.25, 96: 0.40, 128: 0.25, 192: 0.10}, 0.6),
    "question": Family(0.30, {96: 0.20, 128: 0.50, 192: 0.30}, 0.75),
    "claim": Family(0.12, {96: 0.20, 128: 0.40, 192: 0.30, 256: 0.10}, 0.75),
    "title": Family(0.07, {96: 0.40, 128: 0.40, 192: 0.20}, 0.6),
    "code": Family(0.05, {64: 0.30, 96: 0.40, 128: 0.20, 192: 0.10}, 0.6),
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where queries and passages come from.

    Attributes:
        name: Of the source.
        family: Whose share it has a part of.
        path: A file of pairs or a folder in BEIR layout, below the folder of the data.
        licence: Of the data, where its rows do not name it.
        left_out: It is measured on and never learnt from.
        asks: ``queries``: the source's own; ``titles``: the titles of its passages, which are then shown without.
        weight: Times the root of its queries, against others of its family.
        has_titles: The legs read passages with their titles; not where these are what is asked for.
        has_pages: Documents ``page-part`` belong together and are held out together.
    """

    name: str
    family: str
    path: str
    licence: str = ""
    left_out: bool = False
    asks: Literal["queries", "titles"] = "queries"
    weight: float = 1.0
    has_titles: bool = False
    has_pages: bool = True

    @property
    def key(self) -> str:
        """What its held-out documents are drawn by: sources of one file hold out the same."""
        return Path(self.path).name


def _docs(*names: str, left_out: bool = False) -> list[Source]:
    return [Source(name, "docs", f"training/{name}.jsonl.xz", left_out=left_out) for name in names]


def _questions(*names: str, left_out: bool = False, weight: float = 1.0) -> list[Source]:
    return [Source(name, "question", f"training/{name}.jsonl.xz", left_out=left_out, weight=weight) for name in names]


def _older(name: str, licence: str, *, weight: float = 1.0) -> Source:
    return Source(name, "question", f"training/{name}.jsonl", licence, weight=weight)


_ABSTRACTS = "abstracts ODC-By"
_SQUAD = "CC BY-SA 4.0"
_UNNAMED = "not named with the data"
SOURCES = (
    *_docs("docs_prometheus", "docs_rustbook", "docs_vagov", "docs_wsl", left_out=True),
    *_questions("clapnq", "covidqa", "chunking_eval", left_out=True),
    *_docs("docs_18f", "docs_aws_s3", "docs_owasp", "docs_govuk_dev", "docs_laravel", "docs_digitalgov"),
    *_docs("docs_interview", "docs_aws_ec2", "docs_opensearch", "docs_symfony", "docs_powershell"),
    *_docs("docs_legal_policies", "docs_jitsi", "docs_usajobs", "docs_searchgov", "docs_ethereumbook", "docs_tokio"),
    *_docs("docs_react", "docs_scala", "docs_vue", "docs_opentelemetry", "docs_aws_rds", "docs_businesscentral"),
    *_docs("docs_etcd", "docs_fcc_guide", "docs_bitcoin", "docs_resources_us", "docs_opensource_guide"),
    *_docs("docs_learnxinyminutes", "docs_cncf_glossary", "docs_helm", "openstax", "recipes"),
    *_questions("qed_nq", "selqa", "stackexchange", "tatqa", "policyqa"),
    *_questions("covid_faq", "mtrag", weight=0.5),
    _older("squad_dev", _SQUAD),
    _older("medquad", "CC BY 4.0"),
    _older("stackfaq", _UNNAMED, weight=0.6),
    _older("wikiqa", _UNNAMED),
    _older("pubmedqa", "MIT"),
    _older("squad_nqg", _SQUAD, weight=0.5),
    Source("fairytaleqa", "question", "fairytaleqa", "Apache-2.0", weight=1.5, has_titles=True),
    Source("foolmetwice", "claim", "training/foolmetwice.jsonl.xz", has_titles=True),
    Source("scifact", "claim", "scifact", f"claims CC BY 4.0, {_ABSTRACTS}", has_titles=True, has_pages=False),
    Source("scifact_titles", "title", "scifact", _ABSTRACTS, asks="titles", has_pages=False),
    *(
        Source(name, "code", f"training/{name}.jsonl.xz")
        for name in ("docstrings_python", "tldr", "docs_30seconds", "nl2bash")
    ),
)

GROUPS = GroupSettings(
    groups=8,
    near=4,
    far=2,
    anywhere=1,
    near_depth=12,
    untitled_share=0.15,
    titles_together=True,
    keyword_share=0.0,
    seed=SEED,
)
LEARNING = LearningSettings(
    steps=10_000,
    decay_steps=1000,
    warm_up_steps=150,
    learning_rate=5e-5,
    squares_decay=0.99,
    teacher_sharpness=8.0,
    residual_share=0.5,
    average_decay=0.998,
    checkpoint_seconds=600.0,
)
# For one large GPU: fewer, larger steps, so that millions of pairs take minutes.
LARGE_GROUPS = GROUPS.model_copy(update={"groups": 128})
LARGE_LEARNING = LEARNING.model_copy(
    update={"steps": 4000, "decay_steps": 1600, "warm_up_steps": 100, "learning_rate": 1.5e-4, "average_decay": 0.995}
)
