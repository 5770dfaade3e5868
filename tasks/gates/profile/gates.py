"""Gates for queries that nobody judged: scores, lengths and shared words of a sample, against the live release's.

A tokenizer that lost half of its words, texts that came empty, a leg that answers with anything: results are there, and
no judgment says that they are wrong. What gives them away is that values have moved for many texts or queries at once.
Honest changes move few of them. What a change of the settings moves (scores of another model, lengths of another chunk
size) is not compared: each value says what it depends on.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from nightrank.storage.release.manifest import Gate
from nightrank.tasks.gates.profile.resemblance import LEAST_AT_RANDOM, LEAST_OF_CANDIDATES, lack, resemblance
from nightrank.tasks.gates.rules import Incomparable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

NAME, UNRELATED = "profile", "unrelated"
FEWEST_QUERIES = 30  # asked of both releases: with fewer a distribution says nothing
FEWEST_CHUNKS = 100
TOLERATED = 0.1  # of the median of the live release: what moves by no more has not moved
NORMAL_95 = 1.645  # one-sided


class Signal(StrEnum):
    """A value of a chunk, a query, or of all."""

    CHUNK_WORDS = "chunk words"
    CHUNK_CHARACTERS = "chunk characters"  # spaces left out
    CHUNK_TOKENS = "chunk tokens"
    CHUNK_TERMS = "chunk terms"
    BM25_SCORE = "bm25 score"  # the highest of the query's candidates; 0 without any
    DENSE_SCORE = "dense score"
    SPARSE_SCORE = "sparse score"
    PAIR_SCORE = "pair score"
    RESULT_WORDS = "result words"  # of the chunks behind the first results
    COMMON_WORDS = "common words"  # share of the query's words that a first result has
    SIMILARITY = "similarity"  # of a query and a chunk at random, by the dual encoder
    PAIR = "pair"  # the reranker's score of a query and a candidate
    UNRELATED = "unrelated"  # share of the first results
    KNOWN_DOCUMENTS = "known characters of documents"  # share that the embedder's vocabulary knows
    KNOWN_QUERIES = "known characters of queries"


DISTRIBUTIONS = {
    Signal.CHUNK_WORDS: "words of chunks",
    Signal.BM25_SCORE: "BM25 scores",
    Signal.DENSE_SCORE: "dense scores",
    Signal.SPARSE_SCORE: "sparse scores",
    Signal.PAIR_SCORE: "the reranker's scores",
    Signal.RESULT_WORDS: "words of results",
    Signal.COMMON_WORDS: "words that results share with their queries",
}
# Values of the same pairs by another model may be others, and put in another order.
RESEMBLANCES = {
    Signal.SIMILARITY: ("the dual encoder's similarities", LEAST_AT_RANDOM),
    Signal.PAIR: ("the reranker's scores", LEAST_OF_CANDIDATES),
}
# A sum over another: what a hundred characters of text become.
DENSITIES = {
    "tokens of the embedder": (Signal.CHUNK_TOKENS, Signal.CHUNK_CHARACTERS),
    "terms of BM25": (Signal.CHUNK_TERMS, Signal.CHUNK_CHARACTERS),
}
SHARES = {
    Signal.KNOWN_DOCUMENTS: "characters of documents that the embedder knows",
    Signal.KNOWN_QUERIES: "characters of queries that the embedder knows",
}


class Shift(NamedTuple):
    """How far something has moved.

    Attributes:
        size: From 0, not at all, to 1: of distributions the Kolmogorov-Smirnov distance beyond a tenth of the median;
            of numbers over 0 what share of the larger one the smaller one lacks; of two models' values of the same
            pairs what their correlation lacks of that which two models that read have.
        told: What it was and is, in words.
    """

    size: float
    told: str


def shifts(before: pa.Table, now: pa.Table) -> list[Shift]:
    """How far what can be compared has moved.

    Args:
        before: The profile of the live release, schema PROFILE.
        now: That of the new one.
    """
    found = []
    for signal, words in DISTRIBUTIONS.items():
        was, is_now = _comparable(before, now, signal)
        if was.size:
            told = f"{words} {_short(np.median(was))} in the median live, {_short(np.median(is_now))} now"
            found.append(Shift(_distance(was, is_now, fallen_only=signal is Signal.COMMON_WORDS), told))
    for signal, (words, least) in RESEMBLANCES.items():
        means_out = signal is Signal.SIMILARITY  # its queries are paired with the same texts
        alike = resemblance(_by_key(before, signal), _by_key(now, signal), means_out=means_out)
        if alike is not None:
            told = f"{words} of the same pairs correlate with the live ones by {alike:.2f}, of models that read by"
            found.append(Shift(lack(alike, least=least), f"{told} {least:g} or so"))
    for words, (part, whole) in DENSITIES.items():
        ratios = [_ratio(profile, part, whole) for profile in (before, now)]
        if ratios[0] and _depends_on(before, part) == _depends_on(now, part):
            live, made = (100 * ratio for ratio in ratios)
            found.append(Shift(_change(live, made), f"{live:.1f} {words} in 100 characters live, {made:.1f} now"))
    for signal, words in SHARES.items():
        shares = [_values(profile, signal) for profile in (before, now)]
        if all(share.size for share in shares):
            live, made = (float(share[0]) for share in shares)
            fallen = _change(live, made) if made < live else 0.0
            found.append(Shift(fallen, f"{live:.1%} {words} live, {made:.1%} now"))
    return found


def profile_gate(found: Sequence[Shift] | Incomparable, *, max_shift: float) -> Gate:
    """Passes where nothing has moved too far.

    Args:
        found: What was compared with the live release.
        max_shift: How far each may.
    """
    if isinstance(found, Incomparable) or not found:
        why = found.reason if isinstance(found, Incomparable) else "there is too little of both releases"
        return Gate.not_compared(NAME, why, value=0.0, threshold=max_shift)
    far = sorted((shift for shift in found if shift.size > max_shift), reverse=True)
    most = max(found)
    if far:
        told = "; ".join(f"{shift.told} (moved by {shift.size:.2f})" for shift in far)
        reason = f"{told}; up to {max_shift:g} of 1 is allowed"
    else:
        reason = f"{len(found)} figures of texts and queries compared, the furthest: {most.told}"
        reason += f" (moved by {most.size:.2f}, up to {max_shift:g} of 1 is allowed)"
    return Gate(name=NAME, passed=not far, value=most.size, threshold=max_shift, reason=reason)


def unrelated_gate(before: pa.Table | Incomparable, now: pa.Table, *, max_unrelated: float) -> Gate:
    """Passes where not many more results than in the live release have nothing to do with their query.

    A result has nothing to do with its query where the two share no word and are as little similar, by the embedder, as
    the query and a chunk at random. Few queries say little: what chance alone may add is allowed beside.

    Args:
        before: The profile of the live release, schema PROFILE.
        now: That of the new one.
        max_unrelated: The share of the first results by which there may be more.
    """
    values = _values(now, Signal.UNRELATED)
    share = float(values.mean()) if values.size else 0.0
    seen = f"{share:.1%} of the first results of {values.size} queries share no word with them and are little similar"
    was = None if isinstance(before, Incomparable) else _values(before, Signal.UNRELATED)
    if was is None or not was.size or not values.size:
        why = before.reason if isinstance(before, Incomparable) else "no query can be looked at in both releases"
        return Gate.not_compared(UNRELATED, f"{why}; {seen}", value=0.0, threshold=max_unrelated)
    live = float(was.mean())
    pooled = float(np.concatenate([was, values]).mean())
    chance = NORMAL_95 * float(np.sqrt(pooled * (1.0 - pooled) * (1.0 / was.size + 1.0 / values.size)))
    more = max(share - live, 0.0)
    allowed = max_unrelated + chance
    reason = f"{seen}, {live:.1%} live; up to {max_unrelated:.1%} more, and {chance:.1%} for chance, are allowed"
    return Gate(name=UNRELATED, passed=more <= allowed, value=more, threshold=allowed, reason=reason)


def _comparable(before: pa.Table, now: pa.Table, signal: Signal) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The values of chunks, and those of queries that both releases answer; none where these cannot be compared."""
    nothing = np.zeros(0)
    if _depends_on(before, signal) != _depends_on(now, signal):
        return nothing, nothing
    was, is_now = (_by_key(profile, signal) for profile in (before, now))
    if signal is Signal.CHUNK_WORDS:
        keys, others, fewest = list(was), list(is_now), FEWEST_CHUNKS
    else:
        keys = others = [key for key in was if key in is_now]
        fewest = FEWEST_QUERIES
    if min(len(keys), len(others)) < fewest:
        return nothing, nothing
    return np.array([was[key] for key in keys]), np.array([is_now[key] for key in others])


def _distance(before: NDArray[np.float64], now: NDArray[np.float64], *, fallen_only: bool) -> float:
    """Kolmogorov and Smirnov's distance that is left where each value may have moved by a tenth of the median.

    Where all values are alike a thousandth more of each is as far as can be, and is nothing.
    """
    from scipy import stats

    tolerance = TOLERATED * float(np.median(np.abs(before)))
    # "greater": where the first one's values are smaller, its cumulative distribution is above.
    fallen = float(stats.ks_2samp(now + tolerance, before, alternative="greater", method="asymp").statistic)
    if fallen_only:
        return fallen
    return max(fallen, float(stats.ks_2samp(now - tolerance, before, alternative="less", method="asymp").statistic))


def _ratio(profile: pa.Table, part: Signal, whole: Signal) -> float:
    of_whole = float(_values(profile, whole).sum())
    return float(_values(profile, part).sum()) / of_whole if of_whole else 0.0


def _change(before: float, now: float) -> float:
    """The share of the larger of two numbers that the smaller one lacks.

    >>> _change(20.0, 30.0) == _change(30.0, 20.0)
    True
    """
    return 1.0 - min(before, now) / max(before, now) if max(before, now) > 0 else 0.0


def _rows(profile: pa.Table, signal: Signal) -> pa.Table:
    return profile.filter(pc.field("signal") == signal.value)


def _values(profile: pa.Table, signal: Signal) -> NDArray[np.float64]:
    values: NDArray[np.float64] = _rows(profile, signal).column("value").to_numpy()
    return values


def _by_key(profile: pa.Table, signal: Signal) -> dict[str, float]:
    rows = _rows(profile, signal)
    return dict(zip(rows.column("key").to_pylist(), rows.column("value").to_pylist(), strict=True))


def _depends_on(profile: pa.Table, signal: Signal) -> str | None:
    """What a profile's values of a signal depend on; None where it has none."""
    column = _rows(profile, signal).column("depends_on")
    return column[0].as_py() if len(column) else None


def _short(value: float) -> str:
    return f"{value:.3g}"
