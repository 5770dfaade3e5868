"""Which queries say the same: what may differ, and what must not, whatever the analysis drops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.keys import query_key
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.near.find import Move, find_near, term_key
from nightrank.tasks.near.known import KnownQueries, KnownQuery
from nightrank.tasks.near.reading import QueryReader
from nightrank.tasks.near.spelling import deletions, is_one_edit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENGLISH = QueryReader(Analyser(("english",)), [0])
GERMAN = QueryReader(Analyser(("german",)), [0])
JAPANESE = QueryReader(Analyser(("japanese",)), [0])


def near(
    query: str,
    *known: str,
    read: QueryReader = ENGLISH,
    condition: str | None = None,
    collection: Sequence[str] = (),
    rankings: Mapping[str, Sequence[str]] | None = None,
    moves: frozenset[Move] = frozenset(Move),
) -> tuple[str, Move] | None:
    """The known query that a query is taken for, and by which move; the first known is the most demanded."""
    texts = {query_key(text, condition): text for text in known}
    queries = [KnownQuery(key, text, condition, -place) for place, (key, text) in enumerate(texts.items())]
    found = KnownQueries(
        queries,
        read=read,
        terms={term_key(term) for term in collection},
        ranking=lambda key: (rankings or {}).get(texts[key], ("d1",)),
        persistence=0.9,
        least_agreement=0.8,
    )
    answer = find_near(query, condition, read=read, known=found.without(None), moves=moves)
    return None if answer is None else (texts[answer.query_key], answer.move)


@pytest.mark.parametrize(
    ("query", "known", "move"),
    [
        ("reading csv files", "read csv file", Move.WORDING),
        ("Read the CSV file?", "read csv file", Move.WORDING),
        ("csv file read", "read csv file", Move.ORDER),
        ("pyhton tutorial", "python tutorial", Move.SPELLING),  # transposed
        ("pythn tutorial", "python tutorial", Move.SPELLING),
        ("pythoon tutorial", "python tutorial", Move.SPELLING),
        ("tutorials pythom", "python tutorial", Move.SPELLING),
        ("black teas", "black tea", Move.WORDING),
        ("install python 3.10", "installing python 3.10", Move.WORDING),
        ("e-mail archives", "archive of e mail", None),  # a stop word between terms: the order may mean something
        ("the e-mails archive", "e mail archives", Move.WORDING),
    ],
)
def test_the_same_terms_or_one_edit_in_one_long_word_are_the_same(query: str, known: str, move: Move | None) -> None:
    assert near(query, known) == (None if move is None else (known, move))


@pytest.mark.parametrize(
    ("query", "known"),
    [
        ("python 3.11", "python 3.10"),
        ("python 3 install 10", "python 10 install 3"),  # numbers keep their order
        ("budget 2021", "budget 2012"),
        ("recipes not sugar", "recipes sugar"),
        ("recipes without sugar", "recipes sugar"),
        ("csv to json", "json to csv"),
        ("roe v wade", "wade v roe"),
        ("vitamin a", "vitamin"),  # a letter that ends a query is a name's, also where it is a stop word
        ("vitamin a", "vitamins i"),
        ("flights from rome", "rome flights"),
        ("files before june", "files after june"),
        ("c++ strings", "c strings"),
        (".net core", "net core"),
        ("can't import", "can import"),
        ('"exact words"', "exact words"),
        ("-foo bars", "foo bars"),
        ("cat", "car"),  # short words are not misspelt
        ("ants", "ant nest"),
        ("merlin wall", "berlin wall"),  # the first letter
        ("pyhton tutorail", "python tutorial"),  # two words
        ("phyton", "python tutorial"),
        ("the of", "the"),
        ("", "read"),
        ("?!", "read"),
    ],
)
def test_what_may_mean_something_else_is_another_query(query: str, known: str) -> None:
    assert near(query, known) is None
    assert near(known, query) is None


def test_negations_and_directions_are_told_in_the_language_of_the_query() -> None:
    assert near("schulen in berlin", "schule berlin", read=GERMAN) == ("schule berlin", Move.WORDING)
    assert near("berlin schulen", "schule berlin", read=GERMAN) == ("schule berlin", Move.ORDER)
    assert near("schulen nicht berlin", "schulen berlin", read=GERMAN) is None
    assert near("rom nach berlin", "berlin nach rom", read=GERMAN) is None
    two = QueryReader(Analyser(("english", "french", "german")), [2, 0])
    assert near("die strasse und der weg", "strassen und weg", read=two) == ("strassen und weg", Move.WORDING)
    assert near("the roads and the paths", "road and path", read=two) is None  # said to be English by its stop words,
    assert near("the roads and the paths", "the road and a path", read=two) is not None


def test_a_language_without_a_list_of_turning_words_keeps_its_stop_words_and_its_order() -> None:
    hungarian = QueryReader(Analyser(("hungarian",)), [0])
    assert near("az iskola budapest", "iskola budapest", read=hungarian) is None
    assert near("budapest iskola", "iskola budapest", read=hungarian) is None
    assert near("budapest házakban", "budapest házak", read=hungarian) == ("budapest házak", Move.WORDING)
    bare = QueryReader(Analyser(("none",)), [0])
    assert near("csv to json", "json to csv", read=bare) is None


def test_scripts_without_spaces_are_the_same_piece_by_piece_and_keep_their_order() -> None:
    assert near("東京 図書館", "東京図書館", read=JAPANESE) == ("東京図書館", Move.WORDING)
    assert near("大阪から東京", "東京から大阪", read=JAPANESE) is None
    assert near("図書館東京", "東京図書館", read=JAPANESE) is None
    assert near("東京図書室", "東京図書館", read=JAPANESE) is None
    assert near("ห้องสมุด", "สมุดห้อง", read=JAPANESE) is None


def test_a_word_that_the_collection_or_the_log_knows_is_no_misspelling() -> None:
    assert near("trial run", "trail run") == ("trail run", Move.SPELLING)
    assert near("trial run", "trail run", collection=["trial"]) is None
    assert near("trial run", "trail run", "trial court") is None


def test_where_several_words_could_be_meant_none_is_taken() -> None:
    assert near("causer report", "causes report") == ("causes report", Move.SPELLING)
    assert near("conter plan", "counter plan") == ("counter plan", Move.SPELLING)
    assert near("conter plan", "counter plan", "center plan", "conner plan") is None


def test_filters_never_meet() -> None:
    condition = '{"kind":"docs"}'
    known = [KnownQuery(query_key("read csv", condition), "read csv", condition, 1)]
    found = KnownQueries(
        known, read=ENGLISH, terms=set(), ranking=lambda _: ("d1",), persistence=0.9, least_agreement=0.8
    ).without(None)
    moves = frozenset(Move)
    assert find_near("reads csv", condition, read=ENGLISH, known=found, moves=moves) is not None
    assert find_near("reads csv", None, read=ENGLISH, known=found, moves=moves) is None
    assert find_near("reads csv", '{"kind":"blog"}', read=ENGLISH, known=found, moves=moves) is None


def test_of_several_known_queries_the_most_demanded_answers_where_their_answers_are_alike() -> None:
    alike = {"read file": ("d1", "d2"), "reading file": ("d1", "d2", "d3"), "reads file": ("d1", "d2")}
    assert near("reading files", "reading file", "read file", "reads file", rankings=alike) == (
        "reading file",
        Move.WORDING,
    )
    different = alike | {"read file": ("d9",)}
    assert near("reading files", "reading file", "read file", "reads file", rankings=different) is None


def test_only_moves_that_are_on_are_made() -> None:
    assert near("csv read", "read csv", moves=frozenset({Move.WORDING})) is None
    assert near("pyhton", "python", moves=frozenset({Move.WORDING, Move.ORDER})) is None
    spelling = frozenset({Move.SPELLING})
    assert near("the pyhton tutorial", "the python tutorial", moves=spelling) == ("the python tutorial", Move.SPELLING)
    assert near("pyhton tutorials", "python tutorial", moves=spelling) is None
    assert near("tutorial pyhton", "python tutorial", moves=spelling) is None
    assert near("python tutorial", "pythons tutorial", moves=spelling) is None


def test_long_queries_and_long_words_are_not_looked_for() -> None:
    assert near("word " * 2000, "word") is None
    assert near("a" * 10_000, "a" * 9_999) is None


words = st.text("abcdeäß書", min_size=1, max_size=7)


@given(words, words)
def test_words_one_edit_apart_are_what_their_remainders_and_the_edit_distance_say(left: str, right: str) -> None:
    def distance() -> int:
        """Optimal string alignment, by the recurrence."""
        rows = [[i + j if not i or not j else 0 for j in range(len(right) + 1)] for i in range(len(left) + 1)]
        for i in range(1, len(left) + 1):
            for j in range(1, len(right) + 1):
                change = rows[i - 1][j - 1] + (left[i - 1] != right[j - 1])
                rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, change)
                if i > 1 and j > 1 and left[i - 1] == right[j - 2] and left[i - 2] == right[j - 1]:
                    rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
        return rows[-1][-1]

    expected = left[0] == right[0] and distance() == 1
    assert is_one_edit(left, right) is expected
    if expected:
        assert not set(deletions(left)).isdisjoint(deletions(right))
