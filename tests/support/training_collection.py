"""A collection that a model of one random layer can learn in seconds: documents of two nouns, asked for by both.

Every noun is in many documents, so that what is learnt of one helps to find another that was held out.
"""

from __future__ import annotations

import itertools
import json
import random
from typing import TYPE_CHECKING

from tests.support.collection import Collection, small_collection

if TYPE_CHECKING:
    from pathlib import Path

NOUNS = (
    *("river", "castle", "lantern", "violin", "garden", "hammer", "window", "feather", "compass", "kettle"),
    *("bridge", "mirror", "saddle", "anchor", "blanket", "candle"),
)
TALE = "the old tale tells at length how it came about that nobody knew why until this very day"
# Of documents that answer, and of their decoys, which the random weights that reranked before happen to like.
MARKS = NOUNS[-1], NOUNS[-2]
DOCUMENTS = 90


def nouns_of(document_id: str) -> tuple[str, str]:
    """The two nouns that a document is about."""
    first, _, second = document_id.partition("-")
    return first, second


def training_collection(
    folder: Path, *, embedder: str | Path, reranker: str | Path = "none", has_decoys: bool = False
) -> Collection:
    """The collection, written to ``folder``: judged queries, and a log in which each query clicked its document.

    With decoys each document has three others of its nouns that answer nothing. A word at the beginning tells them
    apart, which no first stage heeds and the smallest reranker learns.
    """
    drawn = random.Random(3)
    names = ["-".join(pair) for pair in itertools.combinations(NOUNS[: -len(MARKS)] if has_decoys else NOUNS, 2)]
    drawn.shuffle(names)
    collection = small_collection(folder, embedder=embedder, reranker=reranker)
    collection.documents = []
    collection.log, collection.qrels = [], []
    for name in names[:DOCUMENTS]:
        first, second = nouns_of(name)
        words = [*drawn.choices(TALE.split(), k=14), first, second]
        drawn.shuffle(words)
        text = " ".join(words)
        title = f"Tale {len(collection.documents)}"
        if has_decoys:
            others = NOUNS[: -len(MARKS)]
            for nouns in ((first, drawn.choice(others)), (drawn.choice(others), second), (first, second)):
                decoy = [*drawn.choices(TALE.split(), k=14), *nouns]
                drawn.shuffle(decoy)
                key = f"decoy-{len(collection.documents)}"
                marked = " ".join([*[MARKS[1]] * 3, *decoy])
                collection.documents.append({"_id": key, "title": title, "text": marked})
            text = " ".join([*[MARKS[0]] * 3, text])
        collection.documents.append({"_id": name, "title": title, "text": text})
        collection.log.append((f"q-{name}", f"about a {second} and a {first}", 1))
        collection.qrels.append((f"q-{name}", name, 1))
    collection.write()
    rows = [
        {"query_id": key, "query": text, "count": count, "clicked": key.removeprefix("q-")}
        for key, text, count in collection.log
    ]
    (folder / "clicks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return collection
