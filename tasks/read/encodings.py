"""What a page's bytes say as text: UTF-8, UTF-16 and UTF-32 by their marks or their zeros, or what the page declares.

What is in none of these is not guessed into the index: the reason for setting it aside names the likely encoding and
how to convert it.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

from nightrank.tasks.read.lines import UTF_8, UTF_8_WITH_MARK, decoded

_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig", UTF_8_WITH_MARK),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_SAMPLE_BYTES = 8192
_MAX_ZEROS = 0.02
"""Share of the other half's bytes that may be zero in UTF-16; of ASCII as UTF-16, one half is zeros altogether."""
_MIN_ZEROS = 0.2

# As browsers do (https://encoding.spec.whatwg.org): labels that name a part of an encoding name the whole.
_WHOLE = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
_LABELS = {"windows-31j": "cp932", "windows-874": "cp874", "windows-949": "cp949"}
_DECLARABLE = {
    *(f"cp{number}" for number in (866, 874, 932, 949, *range(1250, 1259))),
    *(f"iso8859-{number}" for number in (*range(2, 9), 10, 13, 14, 15, 16)),
    *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "gb18030", "big5hkscs", "euc_jp", "iso2022_jp"),
}
_DECLARATION_WITHIN_BYTES = 4096
_DECLARATION = re.compile(
    rb"""<\?xml[^>]{0,100}?\sencoding\s*=\s*["']([\w.:-]{1,40})"""
    rb"""|<meta[\s/][^>]{0,400}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""",
    re.IGNORECASE,
)
# What iconv calls the encodings that are guessed, by Python's name.
_GUESSED = {
    "cp1250": "WINDOWS-1250",
    "cp1251": "WINDOWS-1251",
    "cp1253": "WINDOWS-1253",
    "cp1254": "WINDOWS-1254",
    "cp1255": "WINDOWS-1255",
    "cp1256": "WINDOWS-1256",
    "cp1257": "WINDOWS-1257",
    "koi8_r": "KOI8-R",
    "cp932": "SHIFT_JIS",
    "euc_jp": "EUC-JP",
    "gb18030": "GB18030",
    "big5": "BIG5",
    "cp949": "EUC-KR",
    "cp874": "TIS-620",
}
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_WESTERN = re.compile("[\x00-\x7fÀ-ÖØ-öø-ÿŒœŠšŽžŸ€‚ƒ„…†‡ˆ‰‹‘’“”•–—™›\xa0¡£§©ª«®°·º»¿]*")


class Decoded(NamedTuple):
    """A text, and the name of what it was written in."""

    text: str
    encoding: str


def decode_page(data: bytes, *, declared: bool = False) -> Decoded:
    """The text of a page.

    A mark at its beginning decides; otherwise UTF-8 where it is that; then zeros in every second byte, which are
    UTF-16 without a mark; then what HTML or XML declares at its head, read as browsers read such labels.

    Args:
        data: The page.
        declared: Whether a declaration in the text counts, as in HTML.

    Raises:
        ValueError: It is none of these; the message names the first byte that is not UTF-8, what the encoding may be,
            and how to convert it.
    """
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            return Decoded(_strict(data, codec, name), name)
    if codec := _utf_16_without_mark(data):
        return Decoded(_strict(data, codec, "UTF-16 without a mark"), "UTF-16 without a mark")
    try:
        return Decoded(decoded(data), UTF_8)
    except ValueError as error:
        codec = _declared_codec(data) if declared else None
        try:
            if codec:
                return Decoded(data.decode(codec), codec)
        except UnicodeDecodeError:
            codec = None
        raise ValueError(f"{error}{_remedy(data)}") from None


def likely_encoding(data: bytes) -> str | None:
    """What bytes that are not UTF-8 are likely to be written in, as iconv calls it; None where nothing is likely.

    A few thousand bytes around the first that is not ASCII are looked at.
    """
    from charset_normalizer import from_bytes

    first = _NOT_ASCII.search(data)
    sample = data[max(0, first.start() - _SAMPLE_BYTES // 2) :][:_SAMPLE_BYTES] if first else b""
    high = sum(byte >= 0x80 for byte in sample)
    western = sample.decode("cp1252", "replace")
    if _WESTERN.fullmatch(western) and high < 0.2 * len(sample) + 2:
        return "WINDOWS-1252"
    found = from_bytes(sample, cp_isolation=list(_GUESSED)).best()
    return _GUESSED.get(found.encoding) if found else None


def _remedy(data: bytes) -> str:
    likely = likely_encoding(data)
    return f"; it looks like {likely}: iconv -f {likely} -t UTF-8" if likely else "; save it as UTF-8"


def _strict(data: bytes, codec: str, name: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is marked or looks like {name}, and byte {error.start + 1} is not; save it as UTF-8") from None


def _utf_16_without_mark(data: bytes) -> str | None:
    sample = data[: _SAMPLE_BYTES]
    pairs = len(sample) // 2
    if pairs < 2 or b"\x00" not in sample:
        return None
    even, odd = sample[0 : pairs * 2 : 2].count(0) / pairs, sample[1 : pairs * 2 : 2].count(0) / pairs
    if odd >= _MIN_ZEROS and even <= _MAX_ZEROS:
        return "utf-16-le"
    return "utf-16-be" if even >= _MIN_ZEROS and odd <= _MAX_ZEROS else None


def _declared_codec(data: bytes) -> str | None:
    found = _DECLARATION.search(data[:_DECLARATION_WITHIN_BYTES])
    if found is None:
        return None
    label = (found[1] or found[2]).decode("ascii", "replace").lower().removeprefix("x-")
    try:
        name = codecs.lookup(_LABELS.get(label, label)).name
    except LookupError:
        return None
    name = _WHOLE.get(name, name)
    return name if name in _DECLARABLE else None
