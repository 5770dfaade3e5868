"""What a settings file should say of what was found: only what differs from the defaults, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.tasks.bm25.languages import word_lists
from nightrank.tasks.query_log.fill import WITHOUT_A_LOG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightrank.flows.start.look import DocumentsSeen, JudgmentsSeen, LogSeen
    from nightrank.storage.records import JsonValue

ENGLISH = "english"
MOSTLY, ALONE, SOME = 0.5, 0.95, 0.1  # shares of documents in a language
BUDGET_SECONDS = 180.0
KNOWN_ITEMS = 50  # with these and the budget, and embedding, 1,000 pages take two processor cores some seven minutes
BUDGET = (
    "Seconds of reranking a refresh may spend on new queries, those most asked first: so the first one takes "
    "minutes, and each later one adds more. Take it out to answer all at once."
)
MULTILINGUAL: Mapping[str, Mapping[str, JsonValue]] = {
    "embedder": {
        "model": "intfloat/multilingual-e5-small",
        "query_prompt": "query: ",
        "passage_prompt": "passage: ",
    },
    "reranker": {"model": "BAAI/bge-reranker-v2-m3", "depth": 20},
}
"""As docs/how-to/models.md has them; they come from a hub."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that differs from its default, and why; with the key left out, a remark about its section."""

    section: str
    key: str | None
    value: JsonValue
    why: str


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was found.

    Attributes:
        source: As the settings name it.
        log: None without one.
        judgments: None without any.
    """

    source: str
    documents: DocumentsSeen
    log: LogSeen | None
    judgments: JudgmentsSeen | None


def main_language(languages: Mapping[str, int]) -> str | None:
    """The language of most documents; None where no words tell."""
    return max(languages, key=lambda name: (languages[name], name), default=None)


def is_foreign(languages: Mapping[str, int]) -> bool:
    """Whether most documents are in languages that the packaged models do not know.

    >>> is_foreign({"german": 6, "english": 4}), is_foreign({"english": 9, "german": 1}), is_foreign({})
    (True, False, False)
    """
    total = sum(languages.values())
    return total > 0 and languages.get(ENGLISH, 0) < MOSTLY * total


def settings_for(seen: Seen, *, multilingual: bool) -> list[Setting]:
    """What the settings file should say.

    Args:
        seen: What was found.
        multilingual: Whether models of a hub are to be used where most documents are not in English.
    """
    languages = seen.documents.languages
    models = _models(languages, multilingual=multilingual)
    is_reranked = all(setting.section != "reranker" or setting.value != "none" for setting in models)
    budget = [Setting("queries", "budget_seconds", BUDGET_SECONDS, BUDGET)] if is_reranked else []
    judgments = _judgments(seen) or (_known_items() if is_reranked else [])
    return [*_source(seen), *_queries(seen), *budget, *judgments, *_language(languages), *models]


def _source(seen: Seen) -> list[Setting]:
    count = seen.documents.count
    size = f"{count:,} document{'' if count == 1 else 's'}"
    read = f"{size}, all there {'is' if count == 1 else 'are'}" if seen.documents.is_whole else f"the first {size}"
    told = f"Looked at: {read}. {told_languages(seen.documents.languages)}"
    found = [Setting("documents", "source", seen.source, told)]
    if seen.documents.query is not None:
        why = "Which rows are documents: any SELECT, with an id, a title or a text, and what else is to be kept."
        found.append(Setting("documents", "query", seen.documents.query, why))
    if seen.documents.may_be_cursor is not None:
        name = seen.documents.may_be_cursor
        why = f"If {name} changes whenever a row does, add cursor = {name!r}: then only changed rows are read whole."
        found.append(Setting("documents", None, None, why))
    return found


def told_languages(languages: Mapping[str, int]) -> str:
    """The languages of documents, in a sentence.

    >>> told_languages({"german": 3, "english": 1}), told_languages({})
    ('Languages: german 75 %, english 25 %.', 'Their words do not tell their language.')
    """
    total = sum(languages.values())
    if not total:
        return "Their words do not tell their language."
    shares = [f"{name} {100 * count / total:.0f} %" for name, count in languages.items() if count >= 0.01 * total]
    return f"Languages: {', '.join(shares[:5])}."


def _queries(seen: Seen) -> list[Setting]:
    log = seen.log
    if log is None:
        why = (
            f"No query log: up to {WITHOUT_A_LOG} queries are asked from the documents' titles, headings and phrases, "
            'until there is one. Name it here: log = "queries.jsonl", a file, a folder or a glob.'
        )
        return [Setting("queries", None, None, why)]
    at_least = "" if log.is_whole else "at least "
    told = f"{log.rows:,} rows, {at_least}{log.distinct:,} different queries."
    found = [Setting("queries", "log", log.name, told)]
    if log.is_whole and log.distinct < WITHOUT_A_LOG:
        why = "People asked few queries: the rest of so many are asked from the documents."
        found.append(Setting("queries", "from_documents", WITHOUT_A_LOG, why))
    return found


def _judgments(seen: Seen) -> list[Setting]:
    found = seen.judgments
    if found is None:
        return []
    told = f"{found.judgments:,} judgments of {found.queries:,} queries of the log: releases are measured on them."
    return [Setting("judgments", "qrels", found.name, told)]


def _known_items() -> list[Setting]:
    why = (
        "Nobody judged: titles that ask for their own documents tell how good a release is. Half of the usual 100 take "
        "half of their minutes, once."
    )
    return [Setting("judgments", "known_items", KNOWN_ITEMS, why)]


def _language(languages: Mapping[str, int]) -> list[Setting]:
    """Naming the one language of a collection puts right what short texts do not tell."""
    main, total = main_language(languages), sum(languages.values())
    if main in {None, ENGLISH} or main not in word_lists() or languages[main] < ALONE * total:
        return []
    why = f'All texts are in {main}, also those too short to tell; "auto" would go by each text\'s words.'
    return [Setting("bm25", "language", main, why)]


def _models(languages: Mapping[str, int], *, multilingual: bool) -> list[Setting]:
    total = sum(languages.values())
    if not is_foreign(languages):
        others = total - languages.get(ENGLISH, 0)
        if others < SOME * total or not total:
            return []
        why = (
            "Some documents are not in English, which the packaged models alone know. BM25 finds these too, and the "
            "learned order trusts each leg as far as its lists tell; multilingual models are in docs/how-to/models.md."
        )
        return [Setting("embedder", None, None, why)]
    if multilingual:
        why = "Models that know these languages; they are fetched from a hub, some 2.7 GB."
        return [
            Setting(section, key, value, why if key == "model" and section == "embedder" else "")
            for section, keys in MULTILINGUAL.items()
            for key, value in keys.items()
        ]
    why = (
        "The packaged dual encoder and reranker know English alone: BM25, which knows these languages, answers. "
        "For multilingual models see docs/how-to/models.md, and take out both lines."
    )
    return [Setting("retrieval", "legs", ["bm25"], why), Setting("reranker", "model", "none", "As said above.")]
