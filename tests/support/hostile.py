"""Pages that cost a reader dear: made of what opens something, over and over, by a small grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

FILLING = (" ", "a", "\n", "x ", "1", '"', "'", "\n\n", " \n")
DELIMITERS: dict[str, tuple[str, ...]] = {
    ".md": (
        *(
            "`",
            "``` ",
            "~~~\n",
            "<",
            "<a ",
            "<!--",
            "<!-- -->\n",
            "%%",
            "{%",
            "{{",
            "{{<",
            "{#",
            "{/*",
            "[",
            "![",
            "[[",
        ),
        *("](", "[a](", "[a](<", '[a]("', "[a]: b\n\n", "[a][b]", "{:", "&#", "\\", "::: ", "!!! ", "import {", "- - "),
        *("export const a = {\n", "> ", "# ", "===\n", "    a\n", "{a", "</a", '<a b="', "<a {", "<div hidden>", "***"),
        *("<div hidden>\n\n", "<script>", "{% raw %}", "{{< highlight >}}", "---\na: [", "+++\na=", "{\n", "| a |\n"),
    ),
    ".html": (
        *(
            "<a ",
            "<!--",
            "<",
            "</",
            "<div>",
            "<b>",
            "<b><p>",
            "<i><b>",
            "<table>",
            "<td>",
            "<ul><li>",
            "<select>",
            "&#x",
        ),
        *("<title>", "<textarea>", "<script>", "<style>", "<template>", "<svg>", "<svg><style>", "<math>", '<a b="'),
        *("<x/>", "<x>", "<x><article></article>", "<div class=nav>", "<h1>a</h1>", "<td><p>a", "<article>", "<main>"),
        *("<style>@media{", "<style>@import url();", "<style>/*", "<![CDATA[", "<pre>`", "<font>", "<p></b>", "<a><b>"),
        *(
            "<meta http-equiv=refresh content=1",
            "<script>location",
            "<div hidden>",
            "<x role=navigation>",
            "<frameset>",
        ),
    ),
    ".adoc": (
        *("= ", "[", "[[", "[a]#", "<<", "<<a,", "{a", "image:a[", "link:", "link:a[", "link:[", "http://[", "kbd:["),
        *("footnote:a[", "////\n", "----\n", "|===\n", ":a: b\n", ".a\n", "include::", "include::[", "pass:[", "```\n"),
    ),
    ".rst": (
        *(
            "=\n",
            "a\n=\n",
            ".. ",
            ".. a::\n",
            ".. a:: b\n   ",
            ".. note::\n\n   ",
            ".. |a| replace:: b\n",
            ":a:",
            ":a:`",
        ),
        *(
            ":a:`b <",
            ":a:`~",
            "`",
            "``",
            "`a <",
            "|a",
            "[a]_",
            "\\",
            "::\n\n  a\n",
            "+--+\n",
            "   :a: b\n",
            "....\n",
            ":",
        ),
    ),
    "text": (
        *(
            ".",
            ". ",
            "?",
            "。",
            "...",
            '."',
            ".)",
            "# a\n",
            "# ",
            "- a\n",
            "```\n",
            "|",
            "a\n--\n",
            "--\n",
            "1. ",
            "\t",
        ),
        *("Dr. ", "a-\n", "A" * 64 + "\n", "data:a/b;", "Aa1/" * 60, "#", "# a\n## b\n", "=\n", "漢", "รอง", "༎"),
    ),
}
"""What opens something, by format; ``text`` is what every text goes through, whatever format it had."""
BEFORE = {".md": ("", "---\n", "+++\n"), ".html": ("", "<table><tr>", "<table><tr><td>"), ".rst": ("`", "")}


def hostile_pages(form: str, *, size: int, random: Random) -> Iterator[tuple[str, str]]:
    """Pages of one format, each with what it is made of.

    Args:
        form: Of ``DELIMITERS``.
        size: Characters of each, about.
        random: Chooses what goes together.
    """
    delimiters = DELIMITERS[form]
    for one in delimiters:
        other, filling = random.choice(delimiters), random.choice(FILLING)
        before = random.choice(BEFORE.get(form, ("",)))
        units = (one, one + other, one + filling, one + filling * random.choice((50, 3000)))
        for unit in units:
            yield f"{before!r}, then {unit[:60]!r} again and again", before + unit * (size // len(unit) + 1)
        yield f"{one!r}, then {filling!r} again and again", one + filling * (size // len(filling)) + "x"
        yield f"{one!r} nested in {other!r}", (one * (size // 2 // len(one))) + (other * (size // 2 // len(other)))
