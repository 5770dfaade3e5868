"""Mining: what a release finds for a query becomes negatives, or the candidates of a held-out query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nightrank.tasks.train.mining import Miner
from nightrank.tasks.train.pairs import Pair
from nightrank.tasks.train.passages import PassageIndex
from nightrank.tasks.train.search import Chunks, Found
from nightrank.tasks.train.sources import Passage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NONE = np.nan
# document, text, vector, dense, bm25, pair score: what a query along the first axis finds, best first.
CANDIDATES = (
    ("near", "nearly the answer", (0.96, 0.28), 0.96, 3.0, 0.0),
    ("answer", "the answer", (1.0, 0.0), 1.0, 5.0, 4.0),
    ("answer", "another part", (0.0, 1.0), 0.0, NONE, NONE),
    ("copy", "the answer", (0.0, 1.0), 0.0, 2.0, 0.0),
    ("held", "held out", (0.0, 1.0), 0.0, 1.0, 0.0),
    ("as good", "the reranker likes it", (0.0, 1.0), 0.0, 1.0, 3.9),
    ("wrong", "wrong", (0.0, 1.0), 0.0, 4.0, 1.0),
    ("far", "wrong too", (0.6, 0.8), 0.6, NONE, NONE),
)


def found(*, extra: Sequence[Passage] = ()) -> Found:
    vectors = np.array([row[2] for row in CANDIDATES] + [(0.0, -1.0)] * len(extra), dtype=np.float32)
    passages = [Passage(row[0], "", row[1]) for row in CANDIDATES] + list(extra)
    columns = [np.array([row[place] for row in CANDIDATES], dtype=np.float32) for place in (3, 4, 5)]
    fused = np.linspace(1.0, 0.1, len(CANDIDATES), dtype=np.float32)
    return Found(
        "q",
        np.array([1.0, 0.0], dtype=np.float32),
        np.arange(len(CANDIDATES)),
        {"bm25": columns[1], "dense": columns[0]},
        fused,
        columns[2],
        Chunks(np.arange(len(passages), dtype=np.int32), passages, vectors),
    )


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[0.8, 0.6]] * len(texts), dtype=np.float32)


def miner(*, negatives: int = 9) -> Miner:
    held = PassageIndex(titled=True, held_documents={"held"}, held_passages=[Passage("held", "", "held out")])
    return Miner(held, embed, negatives)


def texts(work: Miner, places: Sequence[tuple[int, float]]) -> list[str]:
    return [work.passage_index.passages[place].text for place, _ in places]


def test_what_is_probably_an_answer_is_no_negative() -> None:
    work = miner()

    mined = work.mine(found(), [Pair("q", "answer", 1)])

    assert mined is not None
    assert texts(work, mined.answers) == ["the answer"]  # its best chunk by the first stage
    assert texts(work, mined.negatives) == ["wrong", "wrong too"]
    assert work.false_negatives == {"close": 1, "held out": 1, "score": 1}
    assert texts(work, [(place, 0.0) for place in mined.false_negatives]) == [
        "nearly the answer",
        "the reranker likes it",
    ]


def test_no_more_negatives_are_kept_than_asked_for_the_best_first() -> None:
    work = miner(negatives=1)

    mined = work.mine(found(), [Pair("q", "answer", 1)])

    assert mined is not None
    assert texts(work, mined.negatives) == ["wrong"]
    assert "wrong too" not in {passage.text for passage in work.passage_index.passages}


def test_opinions_are_the_means_of_both_standardised_legs() -> None:
    mined = miner().mine(found(), [Pair("q", "answer", 1)])

    assert mined is not None
    dense = np.array([row[3] for row in CANDIDATES] + [1.0])  # the answer once more
    bm25 = np.array([3, 5, 1, 2, 1, 1, 4, 1, 5], dtype=np.float64)  # 1 is the lowest that the leg gave
    teacher_scores = [(leg - leg.mean()) / leg.std() for leg in (dense, bm25)]
    expected = (teacher_scores[0] + teacher_scores[1]) / 2
    assert mined.answers[0][1] == pytest.approx(expected[8], rel=1e-5)
    assert [teacher_score for _, teacher_score in mined.negatives] == pytest.approx(expected[[6, 7]], rel=1e-5)
    assert mined.floor == pytest.approx(expected.min(), rel=1e-5)


def test_a_document_that_was_not_found_answers_with_its_nearest_chunk() -> None:
    deep = [Passage("deep", "", "off the point"), Passage("deep", "", "to the point")]
    missed = found(extra=deep)
    missed.chunks.vectors[-1] = (0.6, 0.8)
    work = miner()

    mined = work.mine(missed, [Pair("q", "deep", 1)])

    assert mined is not None
    assert texts(work, mined.answers) == ["to the point"]


def test_a_passage_that_was_given_is_the_answer_and_is_embedded_where_the_release_lacks_it() -> None:
    work = miner()

    mined = work.mine(found(), [Pair("q", "new", 1, Passage("new", "A title", "given"))])

    assert mined is not None
    assert texts(work, mined.answers) == ["given"]
    assert "the answer" in texts(work, mined.negatives)  # nothing says any more that it is one


def test_an_answer_has_the_form_of_the_releases_chunks_whatever_title_its_file_gives() -> None:
    chunks = [Passage("deep", "Deep > First", "one"), Passage("deep", "Deep > Second", "two")]
    work = miner()

    pairs = [Pair("q", "deep", 1, Passage("deep", "", text)) for text in ("two", "two ", "a part of one")]
    mined = work.mine(found(extra=chunks), pairs)

    assert mined is not None
    answers = [work.passage_index.passages[place] for place, _ in mined.answers]
    assert answers == [chunks[1], Passage("deep", "Deep > First", "a part of one")]


def test_a_query_without_a_passage_that_may_be_learnt_is_none() -> None:
    assert miner().mine(found(), [Pair("q", "gone", 1)]) is None
    assert miner().mine(found(), [Pair("q", "other", 1, Passage("other", "", "held out"))]) is None
    assert miner().hold_out(found(), [Pair("q", "gone", 1)]) is None


def test_a_held_out_query_keeps_its_candidates_with_what_each_leg_says() -> None:
    work = miner()

    held_out = work.hold_out(found(), [Pair("q", "answer", 2), Pair("q", "gone", 1)])

    assert held_out is not None
    assert held_out.relevant == {"answer": 2}
    listed = [work.passage_index.passages[candidate.place].text for candidate in held_out.candidates]
    assert listed == [row[1] for row in CANDIDATES]
    assert (held_out.candidates[0].fused, held_out.candidates[0].legs["bm25"]) == (1.0, 3.0)
    assert "bm25" not in held_out.candidates[7].legs
