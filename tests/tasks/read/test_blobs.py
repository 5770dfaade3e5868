from __future__ import annotations

import base64
import hashlib
import random
import textwrap

import pytest

from nightrank.tasks.read.blobs import without_blobs

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
