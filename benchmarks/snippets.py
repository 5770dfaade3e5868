"""How good snippets are, what one costs, and how many of them a night makes anew.

    python -m benchmarks.snippets

FairytaleQA says the answer to each question, and the section that it is in. A snippet of that section is good where it
has all terms of the answer that the question has not. Asked are questions whose answer stands in a section that is
longer than a snippet. Beside the weights that Nightrank takes, terms weigh what the exact idf gives them, and all the
same.

The night: BM25's ten best sections for all questions, once of the whole collection, then of one in which one of a
hundred sections has lost its last sentence.
"""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from benchmarks.inputs.beir_folders import parsed, parser
from benchmarks.parts.lexical import statistics_of
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import Chunk
from nightrank.storage.release.files import ReleaseFiles
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.bm25.retrieve import retrieve_bm25
from nightrank.tasks.settings.index import Bm25Settings
from nightrank.tasks.snippets.carried import carrying
from nightrank.tasks.snippets.results import Snippets, query_weights, rarity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nightrank.storage.release.files import CarriedSnippets

CHARACTERS, DEPTH, EDITED = 240, 10, 100
SETTINGS = Bm25Settings(language="english")
ANALYSER = Analyser.of(SETTINGS)

WEIGHTS: Mapping[str, Callable[[int, int], float]] = {
    "rarity": rarity,
    "exact idf": lambda count, of: math.log1p((of - count + 0.5) / (count + 0.5)),
    "all the same": lambda _count, _of: 1.0,
}


class Question(NamedTuple):
    """A question, its answer, and the section that has it."""

    text: str
    answer: str
    section: str


def main() -> None:
    """Measure and print."""
    options = parsed(parser(__doc__ or ""))
    sections, questions = _read(options.data / "fairytaleqa")
    good = _quality(sections, questions)
    nights = _nights(sections, [question.text for question in questions])
    if options.json:
        print(json.dumps({"good": good, **nights}))
        return
    console = Console()
    for name, share in good.items():
        console.print(f"good snippets, terms weighed by {name}: {100 * share:.1f} %")
    for name, value in nights.items():
        console.print(f"{name}: {value:,.1f}" if isinstance(value, float) else f"{name}: {value:,}")


def _read(folder: Path) -> tuple[dict[str, str], list[Question]]:
    """The sections by their ids, and the questions that they answer in so many words."""
    with (folder / "corpus.jsonl").open(encoding="utf-8") as file:
        sections = {row["_id"]: row["text"] for row in map(json.loads, file)}
    with (folder / "queries.jsonl").open(encoding="utf-8") as file:
        asked = {row["_id"]: row for row in map(json.loads, file) if row["metadata"]["ex_or_im"] == "explicit"}
    answered: dict[str, str] = {}
    for path in sorted((folder / "qrels").glob("*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            query, document, _ = line.split("\t")
            answered.setdefault(query, document)
    return sections, [
        Question(normalise_query(row["text"]), row["metadata"]["answer"], answered[key])
        for key, row in asked.items()
        if key in answered
    ]


def _quality(sections: Mapping[str, str], questions: list[Question]) -> dict[str, float]:
    """The share of good snippets by how terms are weighed."""
    lacking = [_terms(question.answer) - _terms(question.text) for question in questions]
    pairs = [
        (question, terms)
        for question, terms in zip(questions, lacking, strict=True)
        if terms and len(sections[question.section]) > CHARACTERS and terms <= _terms(sections[question.section])
    ]
    with statistics_of(_chunks(sections), settings=SETTINGS) as store:
        known = query_weights(store, [question.text for question, _ in pairs], analyse=ANALYSER)
        counts = dict(zip(store.terms_by_number().to_pylist(), store.chunk_counts().tolist(), strict=True))
        of = store.chunk_count
    texts = [sections[question.section] for question, _ in pairs]
    keys = [str(number) for number in range(len(pairs))]
    good = {}
    for name, weigh in WEIGHTS.items():
        weights = {
            key: {term: weigh(counts[term], of) for term in terms} for key, terms in zip(keys, known, strict=True)
        }
        found = Snippets(ANALYSER, characters=CHARACTERS).of(weights)(keys, texts, [0] * len(keys))
        has_answer = [
            snippet is not None and wanted <= _terms(text[snippet.start : snippet.end])
            for snippet, text, (_, wanted) in zip(found, texts, pairs, strict=True)
        ]
        good[name] = sum(has_answer) / len(pairs)
    return good


def _nights(sections: Mapping[str, str], questions: list[str]) -> dict[str, float]:
    """What the first night costs, and one on which few sections were edited."""
    edited = {
        key: text.rsplit(". ", 1)[0] if number % EDITED == 0 else text
        for number, (key, text) in enumerate(sections.items())
    }
    with TemporaryDirectory() as name:
        files = [ReleaseFiles(Path(name) / night) for night in ("first", "second", "anew")]
        for of_night in files:
            of_night.folder.mkdir()
        first, second, anew = (file.snippets for file in files)
        count, made, seconds = _night(sections, questions, first, before=None)
        _, made_again, seconds_again = _night(edited, questions, second, before=first)
        _night(edited, questions, anew, before=None)
        assert second.path.read_bytes() == anew.path.read_bytes()
    return {
        "questions": len(questions),
        "results": count,
        "made on the first night": made,
        "seconds of the first night": seconds,
        "made on the second night": made_again,
        "seconds of the second night": seconds_again,
    }


def _night(
    sections: Mapping[str, str], questions: list[str], file: CarriedSnippets, *, before: CarriedSnippets | None
) -> tuple[int, int, float]:
    """How many results there are, how many of their snippets were made, and the seconds that all of them took."""
    chunks = _chunks(sections)
    with statistics_of(chunks, settings=SETTINGS) as store:
        leg = retrieve_bm25(store, questions, settings=SETTINGS, analyser=ANALYSER, depth=DEPTH)
        known = query_weights(store, questions, analyse=ANALYSER)
    weights = {str(number): terms for number, terms in enumerate(known)}
    keys = [str(number) for number in leg.column("query_number").to_pylist()]
    texts = [chunks[number].text for number in leg.column("chunk_number").to_pylist()]
    start = time.process_time()
    with carrying(file, before=before) as carrier:
        Snippets(ANALYSER, characters=CHARACTERS, carrier=carrier).of(weights)(keys, texts, [0] * len(keys))
    return len(keys), carrier.made, time.process_time() - start


def _chunks(sections: Mapping[str, str]) -> list[Chunk]:
    return [Chunk(key, 0, text, 0) for key, text in sections.items()]


def _terms(text: str) -> set[str]:
    """The terms of an English text, without stop words."""
    return {term for term in ANALYSER(re.findall(r"\w+", text.lower()), 0) if term}


if __name__ == "__main__":
    main()
