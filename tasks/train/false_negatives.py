"""Which candidates of a query may be learnt from as negatives: near its answers, and most likely none of them.

Mined candidates are full of answers that nobody judged; learning from these as negatives makes a model worse. Three
signs give them away: they say what an answer says, their vectors lie close to an answer's, or the reranker scores them
about as high as an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SAME_TEXT_COSINE = 0.95  # passages this close to an answer are taken for answers themselves
NEAR_SCORE = 0.25  # of the deviation of a query's pair scores: what is no further below an answer is near it


def too_close(
    vectors: NDArray[np.float32], answers: NDArray[np.float32], *, most: float = SAME_TEXT_COSINE
) -> NDArray[np.bool_]:
    """Whether each candidate's vector is as close to an answer's as ``most``, or closer.

    Args:
        vectors: float32 (n_candidates, dim), of unit length.
        answers: float32 (n_answers, dim), of unit length; at least one.
        most: Cosine.

    Returns:
        bool (n_candidates,).

    >>> too_close(np.array([[1, 0], [0.6, 0.8], [-1, 0]], np.float32), np.array([[1, 0]], np.float32)).tolist()
    [True, False, False]
    """
    close: NDArray[np.bool_] = (vectors @ answers.T).max(axis=1) >= most
    return close


def scored_like_an_answer(
    pair_scores: NDArray[np.floating], answer_scores: NDArray[np.floating], *, near: float = NEAR_SCORE
) -> NDArray[np.bool_]:
    """Whether the reranker scores each candidate above the lowest answer, or near it.

    Args:
        pair_scores: float (n_candidates,), NaN where there is no score.
        answer_scores: float (n_answers,), likewise.
        near: How far below an answer is near, in deviations of the candidates' scores.

    Returns:
        bool (n_candidates,); False where a score is missing, or all answers' are.

    >>> scored_like_an_answer(np.array([3.0, 1.9, -1.0, np.nan]), np.array([2.0, np.nan])).tolist()
    [True, True, False, False]
    """
    known = pair_scores[~np.isnan(pair_scores)]
    answers = answer_scores[~np.isnan(answer_scores)]
    if known.size == 0 or answers.size == 0:
        return np.zeros(pair_scores.shape, dtype=np.bool_)
    reached: NDArray[np.bool_] = pair_scores >= answers.min() - near * known.std()  # NaN is not
    return reached


def teacher_scores_of(legs: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """What the first stage holds of some passages: the mean of the legs' standardised scores.

    Args:
        legs: float (n,) each, at least one; NaN where the leg did not find the passage: it then has the lowest score
            that the leg gave.

    Returns:
        float64 (n,).

    >>> teacher_scores_of([np.array([0.2, 0.6, -0.2]), np.array([np.nan, 7.0, 7.0])]).round(3).tolist()
    [0.0, 0.612, -0.612]
    """
    scores: NDArray[np.float64] = np.sum([standardised(_with_lowest(leg)) for leg in legs], axis=0) / len(legs)
    return scores


def standardised(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores with mean 0 and standard deviation 1; all 0 where they are all equal.

    >>> standardised(np.array([-1.0, 3.0, 1.0, 1.0])).round(3).tolist()
    [-1.414, 1.414, 0.0, 0.0]
    """
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros(scores.shape)


def _with_lowest(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    known = scores[~np.isnan(scores)]
    return np.where(np.isnan(scores), known.min(initial=np.inf) if known.size else 0.0, scores)
