"""The title and the text of an HTML page as its readers see it, parsed as browsers parse (selectolax's Lexbor).

The page's own styles are applied as far as they hide a class or an id; scripts never run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from nightrank.storage.characters import folded
from nightrank.tasks.read.account import Skipped
from nightrank.tasks.read.markup.html_rules import Boilerplate, Unseen, hidden_by_styles, length
from nightrank.tasks.read.markup.html_source import prepared
from nightrank.tasks.read.markup.html_text import visible_text, words

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

MAIN = "main, [role=main]"
MAIN_SHARE = 0.1
ARTICLES_SHARE = 0.5
LITTLE = 0.1
"""A page of which less is left, and that names no main element, keeps what was taken for boilerplate."""
STUB_CHARACTERS = 400
STYLES_CHARACTERS = 200_000
MAX_HEADINGS = 100
"""Of the first level that are looked at for a page's name."""
_NOINDEX = re.compile(r"\b(?:noindex|none)\b", re.IGNORECASE)
_REFRESH = re.compile(r"\s*+(\d++(?:\.\d++)?)[\d.]*+\s*+[;,]\s*+url\s*=", re.IGNORECASE)
_MOVED = re.compile(r"\b(?:window\.|document\.)?location(?:\.href)?\s*=(?!=)|\blocation\.(?:replace|assign)\s*\(")
_SEPARATOR = re.compile(r"\s+[|–—·•»«:‹›-]\s+|\s*\|\s*|\s*::\s*|:\s+")


class HtmlPage(NamedTuple):
    """A page as its readers see it.

    Attributes:
        title: In one line; empty without one.
        text: As plain Markdown.
        mended: What was put right or kept on the way, in words.
        language: As its root says it; empty where it does not.
    """

    title: str
    text: str
    mended: tuple[str, ...] = ()
    language: str = ""


def parse_html(source: str, *, is_xml: bool = False) -> HtmlPage:
    r"""The page.

    Its text is the main element, or its articles, or the body, without what is hidden and what every page of a site
    has: navigation, headers and footers, cookie notes, forms. The title is the page's own name: that of Open Graph or
    the first heading where ``<title>`` adds a site's name to it or has nothing in common with it.

    Args:
        source: Decoded.
        is_xml: Whether it is XHTML by its name.

    Raises:
        Skipped: The page asks not to be indexed, leads to another one, or is made of frames alone.

    >>> parse_html("<title>Guide | Acme</title><nav>Home</nav><h1>Guide</h1><p>Run   it.<br>Twice.")[:2]
    ('Guide', '# Guide\n\nRun it.\nTwice.')
    """
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(prepared(source, is_xml=is_xml))
    root = tree.body or tree.root
    if root is None:
        return HtmlPage("", "")
    tree.strip_tags(["svg"])
    sheets = [node.text() for node in tree.css("style") if "print" not in (node.attributes.get("media") or "")]
    unseen = hidden_by_styles([sheet[:STYLES_CHARACTERS] for sheet in sheets])
    is_moved = any(_MOVED.search(node.text()) for node in tree.css("script"))
    tree.strip_tags(["script", "style", "noscript", "template"])
    title = _text_of(tree, "title")  # of the page, and of no picture
    characters = length(root)
    if characters < STUB_CHARACTERS:
        _skip_stub(tree, f"{title} {visible_text(root, unseen, None)}", is_moved=is_moved)
    _skip(tree)
    content, is_main = _content(tree, root, unseen, characters)
    mended: tuple[str, ...] = ()
    if not is_main and len(content) < LITTLE * characters:
        everything = visible_text(root, unseen, None)
        if len(content) < LITTLE * len(everything):
            content, mended = everything, ("all of a page kept, for nothing in it looks like its content",)
    if source.rfind("<!--") > source.rfind("-->"):
        mended += ("an HTML comment that is never closed left out, with all that follows",)
    return HtmlPage(_title(tree, root, title, content, unseen), content, mended, _language(tree))


def _skip(tree: LexborHTMLParser) -> None:
    for meta in tree.css("meta[content]"):
        name, content = meta.attributes.get("name") or "", meta.attributes.get("content") or ""
        if name.lower() in ("robots", "googlebot") and _NOINDEX.search(content):
            raise Skipped("page with noindex")
        if (delay := _refresh(meta)) is not None and delay < 1:
            raise Skipped("page that redirects")


def _skip_stub(tree: LexborHTMLParser, text: str, *, is_moved: bool) -> None:
    """Skip a page of few words that leads elsewhere, or is made of frames."""
    if any(_refresh(meta) is not None for meta in tree.css("meta[content]")):
        raise Skipped("page that redirects")
    if is_moved and text.strip().lower().startswith(("redirect", "you are being redirected", "moved", "page moved")):
        raise Skipped("page that redirects")
    if tree.css_first("frameset") is not None:
        raise Skipped("page of frames")


def _refresh(meta: LexborNode) -> float | None:
    """After how many seconds a page leads to another one."""
    if (meta.attributes.get("http-equiv") or "").lower() != "refresh":
        return None
    found = _REFRESH.match(meta.attributes.get("content") or "")
    return float(found[1]) if found else None


def _content(tree: LexborHTMLParser, root: LexborNode, unseen: Unseen, characters: int) -> tuple[str, bool]:
    """The page's content, and whether an element of the page says that it is that."""
    articles = [node for node in tree.css("article") if not _is_within_article(node)]
    mains = tree.css(MAIN)
    boilerplate = Boilerplate(characters, lists=not mains and not articles)
    main = max(mains, key=length, default=None)
    base = "" if main is None else visible_text(main, unseen, boilerplate, inside=True)
    is_main = len(base) >= MAIN_SHARE * characters
    if not is_main:
        base = visible_text(root, unseen, boilerplate)
    if articles and sum(length(node) for node in articles) >= ARTICLES_SHARE * len(base):
        texts = [visible_text(node, unseen, boilerplate, inside=True) for node in articles]
        joined = "\n\n".join(text for text in texts if text)
        if len(joined) >= ARTICLES_SHARE * len(base):
            return joined, True
    return base, is_main


def _is_within_article(node: LexborNode) -> bool:
    above = node.parent
    while above is not None:
        if above.tag == "article":
            return True
        above = above.parent
    return False


def _title(tree: LexborHTMLParser, root: LexborNode, title: str, content: str, unseen: Unseen) -> str:
    site = _meta(tree, "og:site_name")
    graph = _meta(tree, "og:title")
    headings = [text for node in root.css("h1")[:MAX_HEADINGS] if (text := words(node, unseen))]
    within = [heading for heading in headings if f"# {heading}\n" in f"{content}\n"]
    heading = next((one for one in within or headings if folded(one) != folded(site)), "")
    if not title:
        return graph or heading
    for name in (graph, heading):
        if name and _is_part(name, title) and not (name == heading and not within and _is_last(name, title)):
            return name
    if heading and within and not set(_words(heading)) & set(_words(title)):
        return heading
    return _without_site(title, site)


def _is_part(name: str, title: str) -> bool:
    """Whether a title is a name with the site's before or behind it."""
    short, long = folded(name), folded(title)
    if short == long:
        return True
    if long.startswith(short):
        return _SEPARATOR.match(long, len(short)) is not None
    return long.endswith(short) and any(found.end() == len(long) - len(short) for found in _SEPARATOR.finditer(long))


def _is_last(name: str, title: str) -> bool:
    return folded(name) != folded(title) and folded(title).endswith(folded(name))


def _without_site(title: str, site: str) -> str:
    if not site or not _is_part(site, title) or folded(site) == folded(title):
        return title
    if folded(title).endswith(folded(site)):
        return _SEPARATOR.sub("\x00", title).rpartition("\x00")[0].replace("\x00", " - ") or title
    return _SEPARATOR.sub("\x00", title).partition("\x00")[2].replace("\x00", " - ") or title


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", folded(text))


def _language(tree: LexborHTMLParser) -> str:
    node = tree.css_first("html")
    attributes = {} if node is None else node.attributes
    return attributes.get("lang") or attributes.get("xml:lang") or ""


def _text_of(tree: LexborHTMLParser, selector: str) -> str:
    node = tree.css_first(selector)
    return " ".join(node.text().split()) if node is not None else ""


def _meta(tree: LexborHTMLParser, name: str) -> str:
    node = tree.css_first(f'meta[property="{name}"], meta[name="{name}"]')
    return " ".join((node.attributes.get("content") or "").split()) if node is not None else ""
