"""The text of a page's bytes: by their mark or their zeros, as UTF-8, as the settings say, or as the page declares.

What is none of these is not guessed into the index: the reason for setting it aside names the likely encoding and how
to convert it.
"""

from __future__ import annotations

import codecs
import re

from nightrank.tasks.read.lines import decoded
from nightrank.tasks.read.text.encoding import UTF_8, form_of

_SAMPLE_BYTES = 8192

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


def decoded_page(data: bytes, *, encoding: str = UTF_8, declares: bool = False) -> tuple[str, str]:
    r"""The text of a page, and what it is written in, as an account tells it.

    Args:
        data: The page.
        encoding: What the settings say.
        declares: Whether a declaration at its head counts, as in HTML and XML; browsers' meanings of names are taken.

    Raises:
        ValueError: It is in none of these; the message names the first byte that is not UTF-8, what the encoding may
            be, and how to convert it.

    >>> decoded_page(b'<meta charset="iso-8859-1">M\xfcller', declares=True)[1]
    'CP1252'
    """
    form = form_of(data, encoding=encoding)
    content = data[form.mark_bytes :]
    try:
        return content.decode(form.encoding), form.told
    except UnicodeDecodeError as error:
        if form.encoding != UTF_8:
            message = f"byte {form.mark_bytes + error.start + 1} is not {form.encoding.upper()}, as it should be"
            raise ValueError(message) from None
    codec = _declared_codec(data) if declares else None
    try:
        return (content.decode(codec), codec.upper()) if codec else (decoded(content), UTF_8)
    except UnicodeDecodeError:
        return decoded_page(data)
    except ValueError as error:
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
