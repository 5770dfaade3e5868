"""Which elements of an HTML page are its content: what nobody sees goes, and so does what every page of a site has.

Rules of our own, since extractors that score paragraphs (trafilatura, readability) lose the main text of one page in
twenty: `python -m benchmarks.html_boilerplate` counts both. An element is never dropped that holds the page's main
element, an article or its first heading, and a class name alone drops nothing that is a large part of a page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nightrank.tasks.read.markup.html_source import between

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

    Attributes = dict[str, str | None]


def names(text: str) -> frozenset[str]:
    """The names of elements that a text lists."""
    return frozenset(text.split())


# Neither of them is rendered; words on both sides of one stay one word.
NOT_RENDERED = names(
    "script style template noscript head title meta link base datalist param source track area map rp annotation "
    "annotation-xml noembed noframes -comment"
)
# Rendered as something else than text, or to be worked with: they part the words on both sides.
REPLACED = names(
    "iframe object embed applet canvas audio video svg button dialog textarea input img progress meter picture"
)
BOILERPLATE = names("nav form aside menu")
ROLES = names("navigation banner contentinfo search dialog alertdialog menu menubar toolbar complementary tooltip")
HOLDS_CONTENT = "main, article, [role=main], h1"
HEADINGS = names("h1 h2 h3 h4 h5 h6")
SECTIONS = names("article main section")
NAMED = names("div ul ol section p span td table tr li a dl")
LINES = names("a p span")

_INVISIBLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_FOR_EARS = re.compile(
    r"(?:^|\s)(?:sr-only|visually-?hidden|screen-reader-text|screenreader-only)(?:\s|$)", re.IGNORECASE
)
_NOTE = re.compile(
    r"note|tip|warning|caution|danger|important|info|admonition|callout|alert|footnote|topic|example|hint",
    re.IGNORECASE,
)
_COOKIES = re.compile(
    r"(?:^|[\s_-])(?:cookies?[_-]?(?:accept|alert|banner|bar|box|compliance|consent|container|control|dialog|disclaimer|"
    r"disclosure|hint|hinweis|info|law|layer|message|modal|msg|note|notice|notification|overlay|panel|policy|popup|"
    r"preferences|settings|warning|wrapper)|gdpr|consent[_-]?(?:banner|box|dialog|layer|manager|modal|popup)|onetrust|"
    r"cc-window|didomi|usercentrics|cookiebot|cybotcookiebot\w*)",
    re.IGNORECASE,
)
_EXTRAS = re.compile(  # of every page of a site, whatever their words
    r"(?:^|\s)(?:breadcrumbs?|skip-?(?:link|links|nav|to-content|to-main)|pagination|pager|page-nav|editsection|"
    r"mw-editsection|printfooter|catlinks|mw-jump-link|navbox|newsletter|newsletter-signup|subscribe|subscription|"
    r"(?:share|sharing|social|sharedaddy|addtoany)(?:[_-](?:bar|buttons?|container|icons?|links?|list|media|menu|nav|"
    r"share|sharing|tools|widget|wrapper))?|advertisement|advert|ad|ads|ad-slot|sponsored|outbrain|taboola)(?:\s|$)",
    re.IGNORECASE,
)
_LINKS = re.compile(  # such lists of links, not such texts
    r"(?:^|[\s_-])(?:breadcrumbs?|menu|nav|navbar|navigation|sidebar|footer|header|topbar|topnav|bottomnav|subnav|toc|"
    r"related|widget|toolbar|masthead|sitemap|tags|social|share|pager|pagination|recommended|trending|popular)(?:[\s_-]|$)",
    re.IGNORECASE,
)
_EDGES = re.compile(
    r"(?:^|\s)(?:footer|sidebar|masthead|site-(?:header|footer|info)|page-footer|colophon)(?:\s|$)", re.IGNORECASE
)

LARGE_SHARE = 0.3
SHORT_CHARACTERS = 300
LINKED_SHARE = 0.5
LIST_LINKED_SHARE = 0.8
LIST_LINKS = 4


@dataclass(frozen=True, slots=True)
class Unseen:
    """What a browser shows nothing of.

    Attributes:
        classes: That the page's own styles hide.
        ids: Likewise.
    """

    classes: frozenset[str] = field(default=frozenset())
    ids: frozenset[str] = field(default=frozenset())

    def __call__(self, tag: str, attributes: Attributes) -> bool:
        """Whether an element is hidden; ``html`` and ``body`` never are, for scripts show them."""
        if not attributes or tag in ("html", "body"):
            return False
        if "hidden" in attributes and attributes["hidden"] != "until-found":
            return True
        if attributes.get("aria-hidden") == "true" and tag not in ("main", "article"):
            return True
        style, name = attributes.get("style"), attributes.get("class")
        if style and _INVISIBLE.search(style):
            return True
        if name and (_FOR_EARS.search(name) or (self.classes and not self.classes.isdisjoint(name.split()))):
            return True
        return attributes.get("id") in self.ids


_AT_BLOCK = re.compile(r"@[^{};@]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}|@[^{};@]*;")
_MARKS = re.compile(r"<!--|-->")
_IMPORT = re.compile(r"@import\s+(?:url\([^()]*\)|\"[^\"]*\"|'[^']*')[^;{}]{0,500};", re.IGNORECASE)
_RULE = re.compile(r"(?:^|(?<=\}))([^{}]*)\{([^{}]*)\}")
_SIMPLE = re.compile(r"\s*[a-z]*([.#])([\w-]+)\s*", re.IGNORECASE)
_DISPLAY = re.compile(r"(?:^|;)\s*(?:display|visibility)\s*:\s*([\w-]+)", re.IGNORECASE)


def hidden_by_styles(sheets: list[str]) -> Unseen:
    """What rules of a single class or id hide, whatever the medium and the state, and no other rule shows again."""
    hidden: set[tuple[str, str]] = set()
    shown: set[str] = set()
    for sheet in sheets:
        plain = between(_MARKS.sub(" ", sheet), "/*", "*/", lambda _comment: "")
        plain = _AT_BLOCK.sub("", _IMPORT.sub("", plain)) + "}"  # browsers close what is left open
        for selectors, declarations in _RULE.findall(plain):
            value = _DISPLAY.search(declarations)
            if value is None:
                continue
            for selector in selectors.split(","):
                simple = _SIMPLE.fullmatch(selector)
                if value[1].lower() not in ("none", "hidden"):
                    shown.update(re.findall(r"[.#]([\w-]+)", selector))
                elif simple:
                    hidden.add((simple[1], simple[2]))
    kept = {(sign, name) for sign, name in hidden if name not in shown and not name.lower().startswith(("js", "no-js"))}
    return Unseen(
        frozenset(name for sign, name in kept if sign == "."), frozenset(name for sign, name in kept if sign == "#")
    )


@dataclass(frozen=True, slots=True)
class Boilerplate:
    """What a page shares with the other pages of its site.

    Attributes:
        characters: How long what is seen of the whole page is.
        lists: Whether lists of links go as well, where no main element says what the content is.
    """

    characters: int
    lists: bool

    def __call__(self, node: LexborNode, tag: str, attributes: Attributes, *, inside: bool) -> bool:
        """Whether an element goes.

        Args:
            node: The element.
            tag: Its name.
            attributes: Its attributes.
            inside: Whether it is within an article, a section or the main element.
        """
        if tag in BOILERPLATE or attributes.get("role") in ROLES or (tag in ("header", "footer") and not inside):
            return self._is_structure(node, tag, attributes, inside=inside)
        if tag == "footer":
            return self._is_linked(node, LINKED_SHARE)
        name = f"{attributes.get('class') or ''} {attributes.get('id') or ''}".strip()
        if name and tag in NAMED:
            return self._is_named(node, tag, name, inside=inside)
        return self.lists and not inside and tag in ("ul", "ol", "table", "td", "dl") and self._is_list_of_links(node)

    def _is_structure(self, node: LexborNode, tag: str, attributes: Attributes, *, inside: bool) -> bool:
        if tag == "aside" and inside:
            role, name = attributes.get("role") or "", attributes.get("class") or ""
            if role.startswith(("note", "doc-")) or _NOTE.search(name):
                return False
        if tag == "header":
            return node.css_first("main, article, [role=main]") is None
        if tag == "form":
            return node.css_first(HOLDS_CONTENT) is None and length(node) < LARGE_SHARE * self.characters
        return node.css_first(HOLDS_CONTENT) is None

    def _is_named(self, node: LexborNode, tag: str, name: str, *, inside: bool) -> bool:
        is_extra = _EXTRAS.search(name)
        if tag in LINES and not is_extra:
            return False  # a link in a heading is linked altogether
        is_cookie, is_edge = _COOKIES.search(name), not inside and _EDGES.search(name)
        if not (is_cookie or is_extra or is_edge or _LINKS.search(name)):
            return self.lists and not inside and self._is_list_of_links(node)
        if node.css_first(HOLDS_CONTENT) is not None or (
            not is_cookie and length(node) >= LARGE_SHARE * self.characters
        ):
            return False
        characters = length(node)
        if is_cookie or is_edge or (is_extra and characters < SHORT_CHARACTERS):
            return True
        return self._is_linked(node, LINKED_SHARE)

    def _is_list_of_links(self, node: LexborNode) -> bool:
        if node.css_first("h1, p, pre") is not None or len(node.css("a")) < LIST_LINKS:
            return False
        return length(node) < LARGE_SHARE * self.characters and self._is_linked(node, LIST_LINKED_SHARE)

    @staticmethod
    def _is_linked(node: LexborNode, share: float) -> bool:
        characters = length(node)
        return characters == 0 or sum(length(link) for link in node.css("a")) > share * characters


def length(node: LexborNode) -> int:
    """Characters of an element's text, hidden or not, white space as single spaces."""
    return len(" ".join(node.text().split()))
