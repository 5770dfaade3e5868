from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.storage.errors import InputError
from nightrank.storage.serving.address import Address, parse_address

BASE = Path("/base")


def parse(text: str, **environment: str) -> Address:
    return parse_address(text, base=BASE, environment=environment)


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        ("out/release.sqlite", "sqlite", "/base/out/release.sqlite"),
        ("/abs/release.PARQUET", "parquet", "/abs/release.PARQUET"),
        ("a.b.sqlite3", "sqlite", "/base/a.b.sqlite3"),
        ("x.db", "sqlite", "/base/x.db"),
        ("it's #1?@.parquet", "parquet", "/base/it's #1?@.parquet"),
    ],
)
def test_a_file_is_known_by_its_suffix(text: str, kind: str, path: str) -> None:
    address = parse(text)
    assert (address.kind, str(address.path), address.shown, address.is_file) == (kind, path, path, True)


@pytest.mark.parametrize(
    ("text", "shown", "url", "password"),
    [
        ("redis://h:6379/0", "redis://h:6379/0", "redis://h:6379/0", None),
        ("redis://:s%40c@h/1?ssl_ca_certs=x", "redis://h/1", "redis://h/1?ssl_ca_certs=x", "s@c"),
        ("valkeys://u:s@h", "valkeys://u@h", "rediss://u@h", "s"),
        ("unix://:s@/run/redis.sock?db=1", "unix:///run/redis.sock", "unix:///run/redis.sock?db=1", "s"),
        ("postgres://u:s@a:1,b:2/d", "postgres://u@a:1,b:2/d", "postgresql://u@a:1,b:2/d", "s"),
        ("postgresql://u:s@[::1]:5432/d", "postgresql://u@[::1]:5432/d", "postgresql://u@[::1]:5432/d", "s"),
        ("postgresql://u@h/d", "postgresql://u@h/d", "postgresql://u@h/d", None),
    ],
)
def test_a_password_is_taken_out_of_a_url(text: str, shown: str, url: str, password: str | None) -> None:
    address = parse(text)
    assert (address.shown, address.url, address.password) == (shown, url, password)


def test_a_password_may_stand_in_the_environment() -> None:
    assert parse("redis://u:${REDIS_PASSWORD}@h/0", REDIS_PASSWORD="p@:/ss").password == "p@:/ss"
    with pytest.raises(InputError, match="is not set"):
        parse("redis://u:${REDIS_PASSWORD}@h/0")


@given(st.lists(st.sampled_from(("S3CR3T", *"@:/?#[]%&=;1")), min_size=1).map("".join))
def test_no_password_is_ever_shown_however_wrongly_it_is_written(password: str) -> None:
    for scheme in ("redis", "postgresql", "unix", "mysql"):
        assert "S3CR3T" not in told_of(f"{scheme}://user:{password}@host:1/0")


def told_of(text: str) -> str:
    """All that may be shown of an address, or of why it is none."""
    try:
        address = parse(text)
    except InputError as error:
        return str(error)
    return f"{address!r} {address} {address.shown} {address.url}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "release",
        "release.csv",
        "release.jsonl",
        "release.duckdb",
        "mysql://h/d",
        "S3CR3T://h",
        "postgresql://h/d?password=S3CR3T",
    ],
)
def test_what_is_no_address_is_told_with_what_would_be_one(text: str) -> None:
    with pytest.raises(InputError) as reported:
        parse(text)
    assert "redis://" in reported.value.remedy
    assert ("A file that ends in .sqlite or .parquet" in reported.value.remedy) != ("password=" in text)
    assert "S3CR3T" not in str(reported.value)
