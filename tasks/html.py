"""Pages of HTML from templates: texts are escaped and cannot disorder the page. What pages say is elsewhere."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nightrank.storage.files.text import plain_text


@cache
def html_environment(package: str, folder: str) -> Environment:
    """What renders the templates of a package: texts are escaped, and a name that is not given is an error.

    Args:
        package: By its dotted name.
        folder: Of the templates, in the package.
    """
    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=showable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def showable(value: object) -> object:
    r"""A text without characters that a page cannot show or that would disorder it; anything else as it is.

    >>> showable("a\x1b[31m\u202eb")
    'a\ufffd[31m\ufffdb'
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return plain_text(value, lines=True)
    return value
