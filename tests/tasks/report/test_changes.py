"""What the report says has changed between two releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.release.manifest import Counts
from nightrank.tasks.report.changes import changed_inputs, changed_settings, changed_version, counts_beside
from tests.support.reported import manifest_of

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue


def test_settings_are_compared_key_by_key_whatever_stays_is_not_told() -> None:
    before: dict[str, JsonValue] = {"workspace": "a", "bm25": {"k1": 1.2, "b": 0.75}, "reranker": {"weight": None}}
    after: dict[str, JsonValue] = {
        "workspace": "a",
        "bm25": {"k1": 1.2, "b": 0.5},
        "reranker": {"weight": 0.3},
        "drift_check": {"sample": 32},
    }

    assert changed_settings(before, after) == [
        ("[bm25].b", "0.75", "0.5"),
        ("[reranker].weight", "default", "0.3"),
        ("[drift_check].sample", "not there", "32"),
    ]
    assert changed_settings(after, before)[-1] == ("[drift_check].sample", "32", "not there")
    assert changed_settings(after, after) == []


def test_an_input_that_differs_is_named_for_what_it_stands_for() -> None:
    before = manifest_of().inputs
    after = before.model_copy(update={"documents": "fedcba9876543210", "reranker": "aaaaaaaaaaaaaaaa at 0.3"})

    assert changed_inputs(before, after) == [
        ("The documents", "0123456789", "fedcba9876"),
        ("The reranker", "0123456789", "aaaaaaaaaa at 0.3"),
    ]


def test_another_version_of_the_program_is_told() -> None:
    before = manifest_of(nightrank="0.0.9")

    assert changed_version(before, manifest_of()) == [("Nightrank itself", "0.0.9", "0.1.0")]
    assert changed_version(before, before) == []


def test_counts_of_a_first_release_have_no_before() -> None:
    counts = Counts.model_validate(dict.fromkeys(Counts.model_fields, 7))

    assert {count.before for count in counts_beside(None, counts)} == {None}
    assert {count.before for count in counts_beside(counts, counts)} == {7}
