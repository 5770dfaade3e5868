"""The report of a real night in a real browser: quiet, harmless, readable."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from nightrank.storage.workspace.folder import FolderWorkspace
from tests.support.collection import small_collection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page

    from tests.conftest import Models

TITLE = "<script>alert(1)</script>"
QUERY = "honey \"><img src=x onerror=alert(1)> 'and' wax"
WIDE, NARROW = 1280, 375
# The contrast of WCAG 2 between an element's text and the page's background.
CONTRAST = """
element => {
  const luminance = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(Number)
      .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low, high] = [getComputedStyle(element).color, getComputedStyle(document.body).backgroundColor]
    .map(luminance).sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
"""


@dataclass(slots=True)
class Opened:
    """A report in the browser and all that it did unasked."""

    page: Page
    uri: str
    troubles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def shown(self) -> int:
        """How many queries of the wins and losses are to be seen."""
        return self.page.locator("#queries details.story:visible").count()


@pytest.fixture(scope="module")
def report(prefect_api: str, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a second night, after an edit, on a collection with hostile texts."""
    from nightrank.flows.refresh import refresh

    folder = tmp_path_factory.mktemp("reported") / "project"
    collection = small_collection(folder, embedder=models.embedder, reranker=models.reranker)
    collection.documents.append(
        {"_id": "hostile", "title": TITLE, "text": "Honey and wax and 'and' quotes.", "letters": 1}
    )
    collection.log.append(("q-hostile", QUERY, 8))
    collection.qrels += [("q-hostile", "hostile", 2), ("q-hostile", "beeswax", 1)]
    collection.settings["evaluation"] = {"timed_queries": 1}
    collection.write()
    refresh(str(collection.settings_file))
    collection.document("bees")["text"] = "Nothing of what it said before."
    collection.document("hostile")["text"] = "Candles burn."
    collection.document("tides")["text"] = "What the moon does to the sea."
    collection.write()
    summary = refresh(str(collection.settings_file))
    assert all("`nightrank tune`" in warning for warning in summary.warnings)  # of so small a model's order
    return FolderWorkspace(collection.workspace).release(summary.manifest.release_id).resolve() / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium of the system."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no Chromium is installed")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(params=["light", "dark"])
def opened(report: Path, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """The report, opened anew; whatever the test does, the page must have been quiet."""
    page = browser.new_page(viewport={"width": WIDE, "height": 900}, color_scheme=request.param)
    shown = Opened(page, report.as_uri())

    def dismiss(dialog: Dialog) -> None:
        shown.troubles.append(dialog.message)
        dialog.dismiss()

    page.on("console", lambda message: shown.troubles.append(message.text))
    page.on("pageerror", lambda error: shown.troubles.append(str(error)))
    page.on("dialog", dismiss)
    page.on("request", lambda asked: shown.requests.append(asked.url))
    page.goto(shown.uri)
    yield shown
    page.close()
    assert shown.troubles == []
    assert shown.requests == [shown.uri]


@pytest.mark.long
def test_the_plots_are_there(opened: Opened) -> None:
    plots = opened.page.locator("svg.plot")

    titles = {plots.nth(place).get_attribute("aria-label") for place in range(plots.count())}
    assert titles >= {
        "nDCG@10 of each stage against milliseconds a query",
        "nDCG@10 by how many candidates are reranked",
        "Difference in nDCG@10 by stage, with intervals",
    }
    for place in range(plots.count()):
        box = plots.nth(place).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 100


def test_hostile_texts_are_shown_as_they_are(opened: Opened) -> None:
    story = opened.page.locator("#queries details.story", has_text="onerror").first
    story.locator("summary").click()

    assert story.locator(".query").inner_text() == QUERY.lower()
    assert story.get_by_text(TITLE).count() >= 1
    assert opened.page.locator("img").count() == 0


def test_the_filter_narrows_the_queries_as_one_types(opened: Opened) -> None:
    reported = opened.page.locator("#shown-count")
    everything = opened.shown()
    assert reported.inner_text() == f"{everything} of {everything} shown"
    assert everything > 3

    opened.page.get_by_label("Filter by words of the query").press_sequentially("ONERROR hon")
    assert (opened.shown(), reported.inner_text()) == (1, f"1 of {everything} shown")

    opened.page.get_by_label("Filter by words of the query").fill("no query says this")
    assert (opened.shown(), reported.inner_text()) == (0, f"0 of {everything} shown")


def test_the_filter_by_outcome_shows_that_outcome_alone(opened: Opened) -> None:
    by_outcome = {}
    for label in ("Losses", "Wins", "Ties"):
        opened.page.get_by_label(label, exact=True).check()
        stories = opened.page.locator("#queries details.story:visible")
        outcomes = {stories.nth(place).get_attribute("data-outcome") for place in range(stories.count())}
        by_outcome[label] = (outcomes, stories.count())
    opened.page.get_by_label("All", exact=True).check()

    assert by_outcome["Losses"][0] == {"loss"}
    assert by_outcome["Wins"][0] <= {"win"}
    assert by_outcome["Ties"][0] <= {"tie"}
    assert sum(count for _, count in by_outcome.values()) == opened.shown()


def test_texts_stand_out_from_the_page_in_light_and_dark_and_the_button_changes_them(opened: Opened) -> None:
    opened.page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    backgrounds = []
    for _ in range(2):
        backgrounds.append(opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        for selector in ("body", ".lead", ".meta", ".about", "h1", ".good", ".bad", ".quiet", ".grade", "ol .id", "a"):
            assert opened.page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
        opened.page.locator("#theme").click()

    assert len(set(backgrounds)) == 2
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == backgrounds[0]


def test_a_phone_shows_the_page_without_scrolling_sideways(opened: Opened) -> None:
    opened.page.set_viewport_size({"width": NARROW, "height": 800})
    opened.page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")

    assert opened.page.evaluate("document.documentElement.scrollWidth") == NARROW


def test_print_shows_every_query_with_its_rankings(opened: Opened) -> None:
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator("details:not([open])").count() == 0

    opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.page.locator("details[open]").count() == 0
