from __future__ import annotations

import base64
import hashlib
import random
import re
import textwrap

import pytest

from nightrank.tasks.read.text import blobs
from nightrank.tasks.read.text.blobs import without_blobs

BASE64 = base64.b64encode(random.Random(7).randbytes(600)).decode()


@pytest.mark.parametrize(
    "blob",
    [
        BASE64,
        BASE64.replace("+", "-").replace("/", "_"),
        random.Random(7).randbytes(200).hex(),
        f"data:image/png;base64,{BASE64}",
        "data:text/css,a%20b",
        "\n".join(textwrap.wrap(BASE64, 76)),
    ],
    ids=["base64", "for urls", "hexadecimal", "data", "text as data", "in lines"],
)
def test_data_written_out_goes_and_the_text_around_it_stays(blob: str) -> None:
    text, count = without_blobs(f"before\n{blob}\nafter")
    assert (text.split(), count) == (["before", "after"], 1)


@pytest.mark.parametrize(
    "text",
    [
        hashlib.sha512(b"").hexdigest(),
        "a" * 5000,
        "/usr/share/doc2/Some/Long/Path/" * 20,
        "1234567890" * 40,
        "-" * 500 + "=" * 500,
        "Word " * 100,
        "https://example.org/?q=" + "Abc1.%20" * 100,
        "GATTACA" * 100,
    ],
)
def test_what_is_no_data_stays(text: str) -> None:
    assert without_blobs(text) == (text, 0)


def test_code_keeps_what_a_reader_may_look_at() -> None:
    code = f"```\nkey = {BASE64}\n```\n"
    assert without_blobs(code) == (code, 0)
    assert without_blobs(f"```\nkey = {BASE64 * 4}\n```\n") == ("```\nkey = \n```\n", 1)


def test_runs_are_found_as_patterns_that_look_everywhere_find_them() -> None:
    made = random.Random(11)
    pieces = [
        BASE64,
        BASE64[:230],
        BASE64[:76],
        BASE64[:60],
        BASE64[:59],
        "=" * 61,
        "Ab1/" * 40,
        " ",
        "  ",
        "\n",
        "\n",
        "\t",
    ]
    pieces += ["é", "word", "漢字", "data:a/b,Zm9v", "data:", "```", "\n```\n"]
    for _ in range(3000):
        text = "".join(made.choices(pieces, k=made.randint(1, 14)))
        assert without_blobs(text) == _without_blobs_by_patterns(text), text


def _without_blobs_by_patterns(text: str) -> tuple[str, int]:
    run = re.compile(r"[A-Za-z0-9+/_=-]{200,}")
    lines = re.compile(r"(?:^[ \t]*[A-Za-z0-9+/_-]{60,128}=*\n)+(?:^[ \t]*[A-Za-z0-9+/_-]{1,128}=*$)?", re.MULTILINE)
    found = [one.span() for one in blobs._DATA.finditer(text)]
    found += [one.span() for pattern in (run, lines) for one in pattern.finditer(text) if blobs._is_blob(one[0])]
    codes = blobs._code_blocks(text)
    kept, at, count = "", 0, 0
    for start, end in sorted(found):
        is_code = any(begin <= start < stop for begin, stop in codes)
        if end > at and not (is_code and end - start < blobs.MIN_CHARACTERS_OF_CODE):
            kept, at, count = kept + text[at : max(start, at)], end, count + 1
    return kept + text[at:], count
