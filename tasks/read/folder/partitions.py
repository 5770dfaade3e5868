"""Fields that folders named ``key=value`` give the files below them, as Hive, Spark and pandas write partitions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
PARTITION = re.compile(r"([^=]+)=(.*)", re.DOTALL)
WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")


def partitions_of(relative: str) -> dict[str, JsonValue]:
    """The fields that the folders of a path stand for.

    Args:
        relative: Path of a file below the source's folder, with ``/``.

    Returns:
        By name: an integer where it is written as one, null for Hive's name of a missing value, else a text.

    >>> partitions_of("year=2024/month=06/lang=pt%2DBR/part-0.parquet")
    {'year': 2024, 'month': '06', 'lang': 'pt-BR'}
    >>> partitions_of("shard=-1/lang=__HIVE_DEFAULT_PARTITION__/a=b.jsonl")
    {'shard': -1, 'lang': None}
    """
    *folders, _ = relative.split("/")
    found = (PARTITION.fullmatch(folder) for folder in folders)
    return {unquote(one[1]): _value(unquote(one[2])) for one in found if one is not None}


def _value(text: str) -> JsonValue:
    if text == NO_VALUE:
        return None
    return int(text) if WHOLE_NUMBER.fullmatch(text) else text
