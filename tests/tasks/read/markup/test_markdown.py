from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightrank.tasks.read.markup.markdown import published_markdown


def seen(text: str, *, is_mdx: bool = False) -> str:
    return " ".join(published_markdown(text, is_mdx=is_mdx).text.split())


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        # Comments, of HTML and Obsidian
        ("a <!-- secret\n\n# no heading --> b", "a b"),
        ("a <!-- one <!-- two --> b", "a b"),
        ("a<!---->b <!-- - -- --> c", "ab c"),
        ("%%\nblock\n\nsecret\n%%\nshown", "shown"),
        ("a %%secret%% b, 100%% sure, 50%%", "a b, 100%% sure, 50%%"),
        ("a <!-- in a line that goes on", "a <!-- in a line that goes on"),
        ("a {::comment}secret\n\n# no heading{:/comment} b {::comment}c{:/} d", "a b d"),
        ("a {::comment /} b\n{: .note #id}\n{:toc}", "a b"),
        ("a {::comment} that is never closed", "a that is never closed"),
        # Code is kept word for word
        ("`<!-- kept -->` and ``a ` {{ b }}``", "`<!-- kept -->` and ``a ` {{ b }}``"),
        ("```html\n<!-- kept --> {{ x }} [a](b) %%c%%\n```", "```html <!-- kept --> {{ x }} [a](b) %%c%% ```"),
        ("~~~~\n~~~\n<b>kept</b>\n~~~~\n<b>x</b>", "~~~~ ~~~ <b>kept</b> ~~~~ x"),
        ("text\n\n    <b>kept</b>\n    {{ x }}\n\n<i>y</i>", "text <b>kept</b> {{ x }} y"),
        ("- item\n\n    <!-- secret -->shown", "- item shown"),
        ("\\<!-- shown --> \\[a](b)", "\\<!-- shown --> \\[a](b)"),
        # Links and pictures
        ('[the policy](a.md "T") ![a shoe](s.png){: .wide} <https://x.org>', "the policy a shoe <https://x.org>"),
        ("[![badge](b.svg)](http://x) [t](a(b)c) [t](<a b>)", "badge t t"),
        ("see [A][ref], [ref], [B][], [c]\n\n[ref]: http://x 'T'\n[b]: y\n", "see A, ref, B, [c]"),
        ("![logo](data:image/png;base64,iVBORw0KGgo=)", "logo"),
        ("note[^1]\n\n[^1]: The note.", "note[^1] [^1]: The note."),
        ("[[Refund policy|the policy]] [[Parcels]] [[Note#Part]] ![[embed.png]]", "the policy Parcels Note > Part"),
        # Hugo, Jekyll, Jinja
        ('{{< figure src="/a.png" title="Parcel" >}}', "Parcel"),
        ("{{% note %}}Keep it.{{% /note %}} {{< youtube w7Ft2y >}}", "Keep it."),
        ('{{< tab "Windows" >}}Press R{{< /tab >}}', "Windows Press R"),
        ("{{% comment %}}secret{{% /comment %}}shown {{/* secret */}}", "shown"),
        ("{{</* ref x */>}}", "{{< ref x >}}"),
        ("{% include warning.html %}{{ site.baseurl }}a{% if x > 1 %}b{% endif %}", "ab"),
        ("{% comment %}secret{% endcomment %}a{# secret #}b", "ab"),
        ("{% raw %}{{ kept }}{% endraw %}", "{{ kept }}"),
        ("{% highlight ruby %}\nputs <x>\n{% endhighlight %}", "puts <x>"),
        ("$x_{{i}}$", "$x_{{i}}$"),
        # Docusaurus, VitePress, MkDocs, kramdown
        ("import Tabs from '@theme/Tabs';\nimport {\n a,\n} from 'x'\n\ntext", "text"),
        ("export const meta = {\n  a: 1,\n\n  b: 2,\n}\n\ntext", "text"),
        ("import taxes from abroad\nexport of goods", "import taxes from abroad export of goods"),
        (
            '<Tabs groupId="os"><TabItem value="w" label="On Windows">Press <kbd>R</kbd></TabItem></Tabs>',
            "On Windows Press R",
        ),
        (":::warning[Careful]\nKeep it.\n:::\n::: tip\nx\n:::", "Careful Keep it. x"),
        ('!!! note "Take care"\n    Text\n\n??? tip\n\n=== "Linux"', "Take care Text tip Linux"),
        ("# Title {#custom-id}\n{: .no_toc }\n[TOC]\n[[toc]]", "# Title"),
        # Tags and entities
        ("Map<Key, Value>, List<String>, a<b and c>d, 1 < 2", "Map<Key, Value>, List<String>, a<b and c>d, 1 < 2"),
        ("a<br>b <b>c</b>d <td>1</td><td>2</td>", "a b cd 1 2"),
        ("<div hidden>secret <div>x</div> more</div>shown", "shown"),
        ('<span style="display: none">secret</span>shown', "shown"),
        ("<p hidden>secret\n\nshown", "shown"),
        ("<script>secret()</script><style>.s{}</style>shown<svg><title>s</title></svg>", "shown"),
        ('<h2 align="center">Head</h2>', "## Head"),
        ("<details><summary>More</summary>Text</details>", "More Text"),
        ("R&amp;D &lt;x&gt; AT&T", "R&D <x> AT&T"),
    ],
)
def test_readers_see_the_words_and_not_what_is_written_for_tools(source: str, shown: str) -> None:
    assert seen(source) == shown


def test_expressions_of_mdx_go_and_the_words_in_components_stay() -> None:
    source = (
        "import A from 'a'\n\n# Hi {props.items[0]} {'you'} {/* secret */}\n\n"
        "<Tabs items={['a', 'b']} onClick={() => { run({a: 1}) }}><Tab title=\"One\">in</Tab></Tabs>\n"
        "{items.map((i) => <li>{i[0]}</li>)}\n"
    )
    assert seen(source, is_mdx=True) == "# Hi you One in"


def test_what_follows_a_comment_that_is_never_closed_is_not_shown() -> None:
    page = published_markdown("shown\n\n<!-- TODO\n\nsecret")
    assert (page.text, page.is_cut) == ("shown\n\n", True)
    assert published_markdown("shown\n%%\nsecret").is_cut


def test_a_page_without_any_markup_is_itself() -> None:
    text = "# One\n\nText *with* stars.  \n- item\n\n| a | b |\n|---|---|\n\n> quote\n"
    assert published_markdown(text).text == text


UNITS = [
    *(
        "a",
        "[",
        "]",
        "[a](",
        "](",
        "`",
        "``` ",
        "<!--",
        "%%",
        "{{<",
        "{%",
        "{#",
        "{/*",
        "{{",
        "<a ",
        "<div hidden>",
        "{",
    ),
    *(
        "\n    a",
        "[[",
        "[a]: b\n",
        "[a][b] ",
        "<script>",
        "\\",
        "export const a = {\n",
        "import {",
        "> ",
        "::: ",
        "{: ",
    ),
    *("<Foo>", '<a href="', "<b a={", "<template>"),
]


@pytest.mark.parametrize("is_mdx", [False, True])
@pytest.mark.parametrize("unit", UNITS)
def test_time_grows_with_the_text_alone(unit: str, is_mdx: bool) -> None:
    began = time.process_time()
    published_markdown(unit * (100_000 // len(unit)), is_mdx=is_mdx)
    assert time.process_time() - began < 10  # a quadratic pattern would take minutes


@given(
    st.lists(st.sampled_from([*UNITS, "-->", "%}", "}}", ">", "\n\n", "x"]), max_size=12).map("".join), st.booleans()
)
def test_no_page_raises(text: str, is_mdx: bool) -> None:
    published_markdown(text, is_mdx=is_mdx)
