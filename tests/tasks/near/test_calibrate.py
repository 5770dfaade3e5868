"""How wrong near answers are is measured on known queries that are held out; what is not within its limit is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nightrank.storage.keys import query_key
from nightrank.storage.records import Judgment
from nightrank.storage.release.near_record import NearMove, NearRecord
from nightrank.tasks.bm25.analyser import Analyser
from nightrank.tasks.gates.near import near_gate, near_warning
from nightrank.tasks.near.calibrate import HeldOutPair, Judged, calibrate, drawn_pairs, held_out_pairs
from nightrank.tasks.near.find import Move
from nightrank.tasks.near.known import KnownQueries, KnownQuery
from nightrank.tasks.near.reading import QueryReader
from nightrank.tasks.settings.near import NearSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READ = QueryReader(Analyser(("english",)), [0])
NOBODY = Judged((), {}, "nDCG@10", ignore_identical_ids=False)


def known(*texts: str) -> KnownQueries:
    queries = [KnownQuery(query_key(text), text, None, -place) for place, text in enumerate(texts)]
    return KnownQueries(queries, read=READ, terms=set(), ranking=lambda _: ("d",), persistence=0.9, least_agreement=0.0)


def pairs_of(*texts: str, seed: int = 0, most: int = 100) -> dict[str, set[tuple[str, str]]]:
    names = {query_key(text): text for text in texts}
    found = drawn_pairs(held_out_pairs(known(*texts), READ), seed=seed, most=most)
    return {
        move.value: {(names[pair.query_key], names[pair.near_key]) for pair in pairs} for move, pairs in found.items()
    }


def test_each_query_is_answered_by_the_others_as_if_it_had_never_been_asked() -> None:
    found = pairs_of("read csv", "reading csv", "csv reads", "python lists", "pyhton list", "tea")
    assert found == {
        # What was asked most answers the others, and the next one answers it.
        "wording": {("reading csv", "read csv"), ("read csv", "reading csv")},
        "order": {("csv reads", "read csv")},
        "spelling": {("pyhton list", "python lists"), ("python lists", "pyhton list")},
    }


def test_of_many_pairs_the_same_ones_are_drawn_in_every_run_and_others_under_another_seed() -> None:
    texts = [f"{word}{ending}" for word in ("walk", "talk", "jump", "look", "cook", "help") for ending in ("", "ing")]
    drawn = pairs_of(*texts, most=5)
    assert len(drawn["wording"]) == 5
    assert drawn == pairs_of(*texts, most=5)
    assert drawn == pairs_of(*texts[::2], *texts[1::2], most=5)
    assert drawn != pairs_of(*texts, most=5, seed=1)


def calibrated(
    overlaps: Mapping[Move, Sequence[float]], judged: Judged = NOBODY, **settings: float
) -> dict[Move, NearMove]:
    """As if the answers of pairs were so alike."""
    pairs = {
        move: [HeldOutPair(f"{move}-{place}", str(overlap)) for place, overlap in enumerate(overlaps.get(move, ()))]
        for move in Move
    }
    return calibrate(
        pairs,
        ranking=lambda key: ("other" if key == "0.0" else "relevant", key),
        overlap=lambda _, near: float(near[1]),
        judged=judged,
        settings=NearSettings(tiers=("same_answer",), **settings),  # type: ignore[arg-type]
    )


def test_a_move_is_on_where_its_bound_is_within_the_limit_and_few_pairs_say_too_little() -> None:
    found = calibrated({Move.WORDING: [0.9] * 300, Move.ORDER: [1.0] * 10, Move.SPELLING: [0.5] * 300})
    assert {move: of.is_on for move, of in found.items()} == {
        Move.WORDING: True,
        Move.ORDER: False,  # all alike, and too few
        Move.SPELLING: False,
    }
    assert found[Move.WORDING].error == pytest.approx(0.1)
    assert found[Move.WORDING].overlap == pytest.approx(0.9)
    assert 0.1 < found[Move.WORDING].bound < 0.2
    assert found[Move.ORDER].bound > 0.2
    assert calibrated({})[Move.WORDING].error is None


def test_the_order_is_free_only_where_the_wording_is() -> None:
    assert not calibrated({Move.ORDER: [1.0] * 300})[Move.ORDER].is_on
    assert calibrated({Move.WORDING: [1.0] * 300, Move.ORDER: [1.0] * 300})[Move.ORDER].is_on


def test_where_enough_is_judged_what_is_lost_of_the_measure_counts() -> None:
    ids = [f"{Move.WORDING}-{place}" for place in range(300)]
    judged = Judged(
        [Judgment(query_id, "relevant", 1) for query_id in ids],
        {query_id: [query_id] for query_id in ids},
        "nDCG@10",
        ignore_identical_ids=False,
    )
    # Rankings that are unlike, and as good.
    equal = calibrated({Move.WORDING: [0.5] * 300}, judged)[Move.WORDING]
    assert (equal.measured_by, equal.error, equal.limit, equal.is_on) == ("nDCG@10", 0.0, 0.02, True)
    worse = calibrated({Move.WORDING: ([0.0] + [1.0] * 24) * 12}, judged)[Move.WORDING]
    assert worse.error == pytest.approx(0.04)
    assert not worse.is_on
    few = calibrated({Move.WORDING: [1.0] * 150}, judged)[Move.WORDING]
    assert few.measured_by == "overlap"


def record(*moves: NearMove) -> NearRecord:
    return NearRecord(confidence=0.95, seed=0, moves=moves, coverage=None)


def test_the_gate_stops_a_release_without_near_answers_only_where_they_are_required() -> None:
    off = NearMove(
        move="wording", measured_by="overlap", held_out=3, error=0.0, bound=0.7, limit=0.2, overlap=1.0, is_on=False
    )
    on = off.model_copy(update={"move": "spelling", "bound": 0.1, "is_on": True})
    assert near_gate(record(off), required=False).passed
    assert not near_gate(record(off), required=True).passed
    assert near_gate(record(off, on), required=True).passed
    assert near_gate(record(off, on), required=True).value == 0.1
    warning = near_warning(record(off, on))
    assert warning is not None
    assert "wording: off" in warning
    assert "spelling" not in warning
    assert near_warning(record(on)) is None
