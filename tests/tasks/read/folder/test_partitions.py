from __future__ import annotations

import pytest

from nightrank.tasks.read.folder.partitions import partitions_of


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("lang=en/part-0.parquet", {"lang": "en"}),
        ("a/lang=de/b/year=2024/x.md", {"lang": "de", "year": 2024}),
        ("month=06/n=-3/zero=0/big=9999999999999999999/x", {"month": "06", "n": -3, "zero": 0, "big": "9" * 19}),
        ("lang=/x", {"lang": ""}),
        ("lang=__HIVE_DEFAULT_PARTITION__/x", {"lang": None}),
        ("date=2024-06-03%2010%3A00/x", {"date": "2024-06-03 10:00"}),
        ("a=b=c/x", {"a": "b=c"}),
        ("plain/=x/a=b.md", {}),
    ],
)
def test_folders_named_key_and_value_are_fields(path: str, fields: dict[str, object]) -> None:
    assert partitions_of(path) == fields
