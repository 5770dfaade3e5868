"""What the packaged learned order is fitted on, and how.

Collections are many and small: how far to trust which leg is a property of the collection, so it is collections that
must be many. Those in which the dual encoder knows nothing of the language are a third of them. Japanese, Chinese,
French, Persian and Portuguese, and every test split, are left for measuring.
"""

from __future__ import annotations

from dataclasses import dataclass

from nightrank.tasks.rank.fit import Fitting
from recipes.packaged_reranker.recipe import SOURCES

SEED = 7
QUERIES = 40  # of a collection
PASSAGES = 400  # of a collection
ASKED, RERANKED = 24, 24  # queries of a collection, and candidates of each, that the reranker scores
LEARNT_FROM = frozenset(source.path for source in SOURCES if not source.left_out)
MIN_QUERIES = 15  # fewer say nothing of a collection
# Entries of a leg's list that the fit looks at: all that there are, and so few as a list is of a collection that is ten
# times as large. In a small slice a long list holds much of the collection, and legs support each other more than in
# any real one.
DEPTHS = (100, 25)


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection to fit on.

    Attributes:
        path: A file of pairs below the folder of the data (query, text, title, language), or a folder in BEIR layout,
            of which the split ``train`` is read.
        language: Of the rows that are read.
        family: What is left out together.
        has_titles: Whether passages are read with their titles; not where titles are what is asked for.
    """

    path: str
    language: str = "en"
    family: str = ""
    has_titles: bool = False

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.path.removesuffix('.xz').removesuffix('.jsonl').replace('/', '-')}.{self.language}"

    @property
    def is_learnt_from(self) -> bool:
        """Whether the packaged reranker learnt from it: then it looks better there than it is elsewhere."""
        return self.language == "en" and self.path in LEARNT_FROM

    @property
    def group(self) -> str:
        """Its family, or itself."""
        return self.family or self.path


def _docs(*names: str, family: str = "") -> list[Collection]:
    return [Collection(f"training/docs_{name}.jsonl.xz", family=family) for name in names]


def _questions(*names: str, language: str = "en") -> list[Collection]:
    return [Collection(f"training/{name}.jsonl.xz", language, has_titles=language != "en") for name in names]


def _languages(name: str, *languages: str, has_titles: bool = False) -> list[Collection]:
    return [Collection(f"training/{name}.jsonl.xz", language, has_titles=has_titles) for language in languages]


COLLECTIONS = (
    *_docs("18f", "30seconds", "digitalgov", "ethereumbook", "govuk_dev", "interview", "jitsi", "laravel"),
    *_docs("legal_policies", "opensearch", "owasp", "powershell", "prometheus", "rustbook", "searchgov", "symfony"),
    *_docs("tokio", "usajobs", "vagov", "wsl"),
    *_docs("aws_ec2", "aws_s3", family="aws"),
    *_questions("chunking_eval", "clapnq", "covid_faq", "covidqa", "mtrag", "policyqa", "qed_nq", "selqa"),
    *_questions("stackexchange", "tatqa", "docstrings_python", "nl2bash", "tldr"),
    Collection("training/foolmetwice.jsonl.xz", has_titles=True),
    Collection("scifact", has_titles=True),
    *_questions("iapp_th", language="th"),
    *_questions("heq_val", language="he"),
    *_questions("norquad", language="no"),
    *_questions("squad_es_dev", language="es"),
    *_questions("squad_it_test", language="it"),
    *_questions("kazqad", language="kk"),
    *_languages("laws_de", "de"),
    *_languages("docs_react", "ko", "es"),
    *_languages("docs_helm", "uk", "de"),
    *_languages("docs_scala", "ru"),
    *_languages("docs_businesscentral_l10n", "de", "sv", "fi", "nl"),
    *_languages("docs_businesscentral_ru", "ru"),
    *_languages("openstax", "pl"),
    *_languages("docs_opensource_guide", "be"),
    *_languages("tldr", "ta", "bn", "th"),
    *_languages("covid_faq", "de"),
    *_languages("xquad", "ru", "ar", "el", "tr", "hi", "vi", "ro", has_titles=True),
)


FITTING = Fitting(penalty=0.03)
