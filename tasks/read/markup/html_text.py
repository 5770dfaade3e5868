"""The elements of an HTML page written down as plain Markdown, one block after another.

Headings, list items, table rows and code come out as Markdown has them, so that a document is cut into chunks and
headings travel with them the same way whatever its format. Everything else is words alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nightrank.tasks.read.markup.html_rules import HEADINGS, NOT_RENDERED, REPLACED, SECTIONS, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selectolax.lexbor import LexborNode

    from nightrank.tasks.read.markup.html_rules import Attributes, Boilerplate, Unseen

_PARAGRAPHS = names(
    "address article aside blockquote body caption center details dialog div dl fieldset figcaption figure footer form "
    "frameset header hgroup hr html legend main nav optgroup p pre section select summary tbody tfoot thead"
)
_LINES = frozenset({"dd", "dt", "option"})
_LISTS = frozenset({"ul", "ol", "menu", "dir"})
_OF_TABLES = frozenset({"table", "tr", "td", "th"})
_PADDED = frozenset({"label", "rt"})
# A table that holds one of these arranges blocks on a page: its cells are blocks, and no data.
_OF_LAYOUT = "h1, h2, h3, h4, h5, h6, ul, ol, pre, form, article, section, dl, blockquote"
_BLOCKS_OF_CELLS = "td > p, td > div"  # two in one cell arrange them as well
_SYMBOLS = frozenset({"¶", "#", "§", "🔗", "⚓", "⚓︎", "permalink", ""})
_LINE_BREAK = "\x00"  # no text of HTML holds one
_LOOKS_LIKE_MARKUP = re.compile(r"^(?=#{1,6}[ \t]|```|~~~)", re.MULTILINE)
_BACKTICKS = re.compile(r"`+")


def visible_text(root: LexborNode, unseen: Unseen, boilerplate: Boilerplate | None, *, inside: bool = False) -> str:
    """What is seen of an element, boilerplate aside.

    Args:
        root: The element.
        unseen: Says what is hidden.
        boilerplate: Says what goes besides; None keeps it.
        inside: Whether it is, or is within, an article or the main element.
    """
    writer = _Writer(sections=int(inside))
    for node, is_end in _walked(root, lambda one: _is_left_out(one, writer, unseen, boilerplate)):
        tag = node.tag or ""
        if tag == "-text":
            writer.add(node.text_content or "")
            continue
        if tag in SECTIONS:
            writer.sections += -1 if is_end else 1
        if is_end:
            writer.leave(tag)
        else:
            writer.enter(tag, node)
    writer.end_block(2)
    return "".join(writer.written).strip("\n")


def words(node: LexborNode, unseen: Unseen) -> str:
    """What is seen of an element, in one line and without marks."""
    return " ".join(visible_text(node, unseen, None).lstrip("#").replace("\n", " ").split())


def _is_left_out(node: LexborNode, writer: _Writer, unseen: Unseen, boilerplate: Boilerplate | None) -> bool:
    tag = str(node.tag)
    if tag in NOT_RENDERED:
        return True
    attributes = node.attributes
    if unseen(tag, attributes):
        return True
    if tag in REPLACED:
        is_heading = tag == "button" and writer.is_heading  # what unfolds beneath a heading
        writer.add(" ")
        return not is_heading
    if tag == "a" and _is_anchor(node, attributes):
        return True
    if boilerplate is not None and boilerplate(node, tag, attributes, inside=writer.sections > 0):
        writer.add(" ")
        writer.end_block(1 if tag in ("span", "a") else 2)
        return True
    return False


def _is_anchor(node: LexborNode, attributes: Attributes) -> bool:
    """Whether a link is the sign beside a heading that links to it."""
    return (attributes.get("href") or "").startswith("#") and node.text().strip().lower() in _SYMBOLS


def _walked(root: LexborNode, is_left_out: Callable[[LexborNode], bool]) -> Iterator[tuple[LexborNode, bool]]:
    """The nodes below and with a node in their order, elements twice: where they begin, and, True, where they end."""
    node: LexborNode | None = root
    depth = 0
    while node is not None:
        below = None
        tag = node.tag
        if tag == "-text":
            yield node, False
        elif tag != "-comment" and not is_left_out(node):
            yield node, False
            below = node.child
            if below is None:
                yield node, True
        if below is not None:
            node = below
            depth += 1
            continue
        while depth and node is not None:
            following = node.next
            if following is not None:
                node = following
                break
            node = node.parent
            depth -= 1
            if node is not None:
                yield node, True
        if not depth:
            return


def _is_layout(table: LexborNode) -> bool:
    if len(table.css("table")) > 1 or table.css_first(_OF_LAYOUT) is not None:
        return True
    cells: set[int] = set()
    for block in table.css(_BLOCKS_OF_CELLS):
        assert block.parent is not None
        if block.parent.mem_id in cells:
            return True
        cells.add(block.parent.mem_id)
    return False


class _Writer:
    """Collects blocks of text; each is written behind as many line breaks as what stands around it asks for."""

    def __init__(self, *, sections: int) -> None:
        self.written: list[str] = []
        self.sections = sections  # articles and the like that are open
        self.is_heading = False
        self._tables: list[bool] = []  # those that are open, and whether each is one of layout
        self._lists = 0
        self._inline: list[str] = []
        self._prefix = ""
        self._breaks = 0
        self._is_row = False
        self._is_written = False  # whether what is collected is more than blanks
        self._code = 0

    def add(self, text: str) -> None:
        if text:
            self._inline.append(text)
            self._is_written = self._is_written or not text.isspace()

    def _clear(self) -> None:
        self._inline.clear()
        self._is_written = False

    def enter(self, tag: str, node: LexborNode) -> None:
        if self._code:
            self._code += tag == "pre"
            if tag == "br":
                self.add("\n")
        elif tag in _OF_TABLES:
            self._enter_table(tag, node)
        elif tag == "br":
            self.add(" " if self._is_row or self.is_heading else _LINE_BREAK)
        elif tag in HEADINGS:
            self._block(2)
            self._prefix, self.is_heading = "#" * int(tag[1]) + " ", not self._is_row
        elif tag == "li":
            self._block(1)
            self._prefix = "- "
        elif tag in _LISTS:
            self._block(1 if self._lists else 2)
            self._lists += 1
        elif tag in _LINES or tag in _PARAGRAPHS:
            self._block(1 if tag in _LINES or self._prefix else 2)
            self._code = int(tag == "pre")
        elif tag in _PADDED or (tag == "sup" and node.css_first("a") is not None):
            self.add(" ")

    def leave(self, tag: str) -> None:
        if self._code:
            self._code -= tag == "pre"
            if not self._code:
                self._write_code()
        elif tag in _OF_TABLES:
            self._leave_table(tag)
        elif tag in _LISTS:
            self._lists -= 1
            self._block(1 if self._lists else 2)
        elif tag in HEADINGS or tag == "li":
            self.is_heading = False
            self._block(1 if tag == "li" else 2)
            self._prefix = ""
        elif tag in _LINES or tag in _PARAGRAPHS:
            self._block(1 if tag in _LINES else 2)
        elif tag in _PADDED:
            self.add(" ")

    def _enter_table(self, tag: str, node: LexborNode) -> None:
        if tag == "table":
            self._block(2)
            self._tables.append(_is_layout(node))
        elif tag == "tr":
            self._block(1)
            self._is_row = bool(self._tables) and not self._tables[-1]
        elif self._is_row:
            self.add(" | " if self._is_written else " ")
        else:
            self._block(2)

    def _leave_table(self, tag: str) -> None:
        if tag == "tr":
            is_row, self._is_row = self._is_row, False
            if is_row:
                self._write(self._cells(), "| ", " |")
            self._block(1)
        elif tag == "table":
            self._is_row = False
            self._block(2)
            self._tables.pop()
        elif not self._is_row:
            self._block(2)

    def end_block(self, breaks: int) -> None:
        """End what was begun, and put so many line breaks before what follows."""
        if not self._code:
            self._block(breaks)

    def _block(self, breaks: int) -> None:
        if self._is_row or self.is_heading:
            self.add(" ")
            return
        text = "\n".join(" ".join(line.split()) for line in "".join(self._inline).split(_LINE_BREAK))
        self._clear()
        if text := text.strip("\n"):
            self._write(_LOOKS_LIKE_MARKUP.sub("\\\\", text), self._prefix, "")
            self._prefix = ""
        if breaks != 1 or not self._prefix:
            self._breaks = max(self._breaks, breaks)

    def _cells(self) -> str:
        text = " ".join("".join(self._inline).split())
        self._clear()
        return text if text.strip(" |") else ""

    def _write(self, text: str, before: str, after: str) -> None:
        if not text:
            return
        if self.written:
            self.written.append("\n" * max(1, self._breaks))
        self.written.append(f"{before}{text}{after}")
        self._breaks = 1

    def _write_code(self) -> None:
        code = "".join(self._inline).strip("\n")
        self._clear()
        if code.strip():
            fence = "`" * max(3, 1 + max((len(run) for run in _BACKTICKS.findall(code)), default=0))
            self._breaks = 2
            self._write("\n".join(line.rstrip() for line in code.split("\n")), f"{fence}\n", f"\n{fence}")
        self._prefix = ""
        self._breaks = 2
