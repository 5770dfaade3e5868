"""How well does the lexical leg find passages in other languages than English, beside LanceDB's full-text search?

    python -m benchmarks.languages --data ../shared/data/training             # sets that choices were made on
    python -m benchmarks.languages --data ../shared/data/training --kept      # sets that were kept aside for the end

Each set is a file of questions with the passage that answers them (``*.jsonl.xz``), cut to 2,000 passages and 150
questions by a seed. nDCG@10 of six rankings of the same texts in the same process: ours as it was, when words were runs
of letters, Han and Hiragana characters words of their own, and stemmer and stop words English; ours now, with the
default ``language = "auto"``; ours with documents that say their language; ours with the language named; and LanceDB's
with its ICU and n-gram tokenizers and, where it has the language's, with stemmer and stop words: the best of these is
the peer.
"""

from __future__ import annotations

import argparse
import json
import lzma
import math
import random
import re
import tempfile
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import lancedb
import numpy as np
import pyarrow as pa
import Stemmer
from lancedb.index import FTS
from rich.console import Console
from rich.table import Table

from benchmarks.parts.lexical import bm25_rankings
from nightrank.storage.records import Chunk
from nightrank.tasks.bm25.formulas import length_norm, lucene_idf, lucene_weight
from nightrank.tasks.bm25.languages import word_lists
from nightrank.tasks.settings.index import Bm25Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PASSAGES = 2000
QUESTIONS = 150
DEPTH = 10
SEED = 7

# Name: file, code of the rows' language (its beginning), Nightrank's language, LanceDB's where it has one.
SETS: Mapping[str, tuple[str, str, str, str]] = {
    "Japanese, jaquad": ("jaquad_train", "ja", "japanese", ""),
    "Japanese, documentation": ("docs_opentelemetry", "ja", "japanese", ""),
    "Chinese, xquad": ("xquad", "zh", "chinese", ""),
    "Chinese, documentation": ("docs_javaguide", "zh", "chinese", ""),
    "Korean, documentation": ("docs_react", "ko", "korean", ""),
    "Korean, tensorflow": ("docs_tensorflow_l10n", "ko", "korean", ""),
    "Thai, iapp": ("iapp_th", "th", "thai", ""),
    "Arabic, xquad": ("xquad", "ar", "arabic", "Arabic"),
    "Hindi, xquad": ("xquad", "hi", "hindi", ""),
    "Greek, xquad": ("xquad", "el", "greek", "Greek"),
    "Turkish, xquad": ("xquad", "tr", "turkish", "Turkish"),
    "Russian, xquad": ("xquad", "ru", "russian", "Russian"),
    "Finnish, documentation": ("docs_businesscentral_l10n", "fi", "finnish", "Finnish"),
    "Norwegian, norquad": ("norquad", "no", "norwegian", "Norwegian"),
    "German, laws": ("laws_de", "de", "german", "German"),
    "Spanish, squad": ("squad_es_dev", "es", "spanish", "Spanish"),
    "Italian, squad": ("squad_it_test", "it", "italian", "Italian"),
    "Hebrew, heq": ("heq_val", "he", "hebrew", ""),
    "Kazakh, kazqad": ("kazqad", "kk", "kazakh", ""),
    "Vietnamese, xquad": ("xquad", "vi", "vietnamese", ""),
}
KEPT: Mapping[str, tuple[str, str, str, str]] = {
    "Japanese, jsquad": ("jsquad", "ja", "japanese", ""),
    "Japanese, vue": ("docs_vue", "ja", "japanese", ""),
    "Chinese, cmrc2018": ("cmrc2018", "zh", "chinese", ""),
    "Chinese (traditional), drcd": ("drcd_dev", "zh-Hant", "chinese", ""),
    "French, piaf": ("piaf_half", "fr", "french", "French"),
    "Portuguese, faquad": ("faquad", "pt", "portuguese", "Portuguese"),
    "Persian, pquad": ("pquad_validation", "fa", "persian", ""),
}


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Passages, questions, and which passages answer each."""

    passages: list[str]
    questions: list[str]
    answers: list[frozenset[int]]

    @classmethod
    def of(cls, file: Path, language: str) -> JudgedSet:
        """A set cut to size by a seed."""
        rows: dict[str, dict[str, None]] = defaultdict(dict)
        titles: dict[str, str] = {}
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if row["language"].startswith(language):
                    rows[row["text"]][row["query"]] = None
                    titles.setdefault(row["text"], row.get("title") or "")
        generator = random.Random(SEED)
        texts = sorted(rows)
        generator.shuffle(texts)
        del texts[PASSAGES:]
        answers: dict[str, set[int]] = defaultdict(set)
        for place, text in enumerate(texts):
            for question in rows[text]:
                answers[question].add(place)
        asked = sorted(answers)
        generator.shuffle(asked)
        del asked[QUESTIONS:]
        passages = [f"{titles[text]}\n{text}" if titles[text] else text for text in texts]
        return cls(passages, asked, [frozenset(answers[question]) for question in asked])

    def ndcg(self, rankings: Sequence[Sequence[int]]) -> float:
        """The mean nDCG@10 of a ranking for each question, as places of passages."""
        total = 0.0
        for ranking, relevant in zip(rankings, self.answers, strict=True):
            gain = sum(1 / math.log2(rank + 2) for rank, place in enumerate(ranking[:DEPTH]) if place in relevant)
            total += gain / sum(1 / math.log2(rank + 2) for rank in range(min(DEPTH, len(relevant))))
        return total / len(self.questions)


def before(judged: JudgedSet) -> list[list[int]]:
    """The rankings by the analysis as it was."""
    documents, queries = ([_terms_before(text) for text in texts] for texts in (judged.passages, judged.questions))
    chunks_of: dict[str, list[int]] = defaultdict(list)
    for place, terms in enumerate(documents):
        for term in set(terms):
            chunks_of[term].append(place)
    counts = [Counter(terms) for terms in documents]
    lengths = np.array([len(terms) for terms in documents], dtype=np.float64)
    norms = length_norm(lengths, float(lengths.mean()), b=0.75)
    rankings = []
    for terms in queries:
        scores = np.zeros(len(documents))
        for term in terms:
            places = np.array(chunks_of.get(term, []), dtype=np.int64)
            idf = lucene_idf(np.array([float(places.size)]), len(documents))[0]
            tf = np.array([counts[place][term] for place in places.tolist()], dtype=np.float64)
            scores[places] += idf * lucene_weight(tf, norms[places], k1=1.2)
        best = np.lexsort((np.arange(scores.size), -scores))[:DEPTH]
        rankings.append([place for place in best.tolist() if scores[place] > 0])
    return rankings


def _terms_before(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    spaced = re.sub("([\u3005\u3007\u3041-\u309f\u3400-\u9fff\uf900-\ufaff])", r" \1 ", folded)
    marked = "".join(character if unicodedata.category(character)[0] in "LMN" else " " for character in spaced)
    words = [word for word in marked.split() if word not in word_lists()["english"].stop_words]
    return Stemmer.Stemmer("english").stemWords(words)  # type: ignore[no-any-return]  # it ships no types


def ours(judged: JudgedSet, language: str, *, declared: str = "") -> list[list[int]]:
    """Our rankings.

    Args:
        judged: The set.
        language: As the settings name it.
        declared: The name of the language that all passages say they are in; empty where they say none.
    """
    chunks = [Chunk(f"{place:06}", 0, text, 0) for place, text in enumerate(judged.passages)]
    settings = Bm25Settings(language=language)
    rankings = bm25_rankings(chunks, judged.questions, settings=settings, depth=DEPTH, language=declared)
    return [[int(name) for name in ranking] for ranking in rankings]


def lance(judged: JudgedSet, folder: Path, language: str) -> dict[str, list[list[int]]]:
    """LanceDB's rankings, by its tokenizer."""
    rows = pa.table({"place": list(range(len(judged.passages))), "text": judged.passages})
    options = {
        "icu": FTS(base_tokenizer="icu", stem=False, remove_stop_words=False),
        "2-grams": FTS(
            base_tokenizer="ngram", ngram_min_length=2, ngram_max_length=2, stem=False, remove_stop_words=False
        ),
        "3-grams": FTS(base_tokenizer="ngram", stem=False, remove_stop_words=False),
    }
    if language:
        options[f"icu, {language}"] = FTS(base_tokenizer="icu", language=language)
    found = {}
    database = lancedb.connect(folder)
    for name, option in options.items():
        table = database.create_table("texts", rows, mode="overwrite")
        table.create_index("text", config=option)
        found[name] = [
            table.search(question, query_type="fts", fts_columns="text")
            .select(["place", "_score"])
            .limit(DEPTH)
            .to_arrow()["place"]
            .to_pylist()
            for question in judged.questions
        ]
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the question sets")
    parser.add_argument("--kept", action="store_true", help="the sets that were kept aside")
    parser.add_argument("--only", default="", help="sets whose name has this in it")
    options = parser.parse_args()
    table = Table(
        "set", "passages", "questions", "before", "auto", "said", "named", "LanceDB's best", "", title="nDCG@10"
    )
    for name, (file, code, named, language_of_lance) in (KEPT if options.kept else SETS).items():
        if options.only not in name:
            continue
        judged = JudgedSet.of(options.data / f"{file}.jsonl.xz", code)
        with tempfile.TemporaryDirectory() as folder:
            theirs = {
                option: judged.ndcg(rankings)
                for option, rankings in lance(judged, Path(folder), language_of_lance).items()
            }
        figures = [judged.ndcg(before(judged))]
        figures += [judged.ndcg(ours(judged, "auto")), judged.ndcg(ours(judged, "auto", declared=named))]
        figures.append(judged.ndcg(ours(judged, named)))
        best = max(theirs, key=lambda option: theirs[option])
        sizes = (f"{len(judged.passages):,}", f"{len(judged.questions):,}")
        table.add_row(name, *sizes, *(f"{figure:.3f}" for figure in figures), f"{theirs[best]:.3f}", best)
        print(
            name,
            *sizes,
            *(f"{figure:.3f}" for figure in figures),
            {k: round(v, 3) for k, v in theirs.items()},
            flush=True,
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
