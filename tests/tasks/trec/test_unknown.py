from __future__ import annotations

import pyarrow as pa
import pytest

from nightrank.tasks.trec.unknown import Unknown, unknown_documents


@pytest.mark.parametrize(
    ("known", "judged", "hint"),
    [
        (["d1", "d2"], ["d1 ", " d2"], "2 of them match without blanks around them"),
        (["cafe\u0301"], ["caf\u00e9"], "1 of them match in the same Unicode form (NFC)"),
        (["Doc-1"], ["doc-1"], "1 of them match in the same case"),
        (["a.md"], ["docs/a.md"], "1 of them match without the folders before them"),
        (["a.md"], ["a"], "1 of them match without the suffix of a file"),
        (["7"], ["007"], "1 of them match without leading zeros"),
        (["a"], ["a#3"], "1 of them match without what follows # or the last hyphen"),
        (["a"], ["b"], ""),
    ],
)
def test_what_would_make_ids_match_is_told(known: list[str], judged: list[str], hint: str) -> None:
    found = unknown_documents(judged, pa.array(known))
    assert (found.count, found.of, found.hint) == (len(judged), len(judged), hint)


def test_different_ids_are_counted_once_and_known_ones_are_none() -> None:
    found = unknown_documents(["b", "a", "b", "z"], pa.chunked_array([["a"], ["c"]]))
    assert found == Unknown(count=2, of=3, example="'b'", hint="")
    assert unknown_documents(["a"], pa.array(["a"])) == Unknown(0, 1, "", "")
