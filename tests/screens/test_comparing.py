"""The comparer itself: it finds what a person would see, and nothing that only another machine's letters bring about."""

import pytest
from playwright.sync_api import Page

from tests.screens.conftest import letters
from tests.screens.pictures import Album, layout_of, moved

PAGE = """
<main><h1>Issue refund 240.00 EUR for order 48102</h1>
<p class="row"><span class="risk critical">Critical</span> <span class="state live">Waiting for people</span></p>
<p class="words">The photos show a torn outer tent. Our terms promise the money back within 30 days.</p>
<button class="btn solid">Approve refund</button> <button class="btn">Reject refund</button></main>
"""
STYLE = """
body { margin: 0; width: 600px; font: 14px/20px "Screens Sans"; color: #14191e; background: #fff }
main { padding: 16px } h1 { font-size: 24px; line-height: 30px } .words { width: 560px }
.risk { background: #a8101f; color: #fff; padding: 1px 6px; font-weight: 600 } .state { color: #00608a }
.btn { height: 32px; border: 1px solid #7d8791; background: #fff } .btn.solid { background: #14191e; color: #fff }
"""
CHANGES = {
    "a moved button": ".btn.solid { margin-left: 12px }",
    "a changed colour of a ground": ".risk { background: #775000 }",
    "a changed colour of words": ".state { color: #75407a }",
    "a missing chip": ".risk { display: none }",
    "a wrapped line": ".words { width: 300px }",
    "a lighter button": ".btn.solid { background: #414a52 }",
    "a larger heading": "h1 { font-size: 26px }",
}


def draw(page: Page, change: str = "") -> bytes:
    page.set_viewport_size({"width": 600, "height": 260})
    page.set_content(f"<style>{letters()}{STYLE}{change}</style>{PAGE}")
    page.evaluate("""Promise.all(["14px Screens Sans", "600 14px Screens Sans"].map((font) => document.fonts.load(font)))""")
    return page.screenshot()


@pytest.fixture
def kept(new_page, browser, tmp_path):
    """A page that was drawn and kept, and a function that makes an album which compares with it."""
    page = new_page()

    def album(renews: bool) -> Album:
        return Album(browser.new_page(), renews=renews, kept=tmp_path)

    keeper = album(True)
    keeper.check("page", draw(page))
    keeper.check_layout(600, "light", "layout", {"page": layout_of(page.locator("main"))})
    return page, album


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_finds(kept, change, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page, album = kept
    comparer = album(False)
    comparer.check("page", draw(page, change))
    found = comparer.problems
    assert len(found) == 1
    assert "test-results/screens/page.png" in found[0]
    assert (tmp_path / "test-results/screens/page.png").exists()


@pytest.mark.parametrize("name", ["a moved button", "a changed colour of a ground", "a missing chip", "a larger heading"])
def test_the_layout_tells_it_in_words(kept, name):
    page, album = kept
    comparer = album(False)
    draw(page, CHANGES[name])
    comparer.check_layout(600, "light", "layout", {"page": layout_of(page.locator("main"))})
    wanted = {"a moved button": "Approve refund", "a changed colour of a ground": "colours of span.risk.critical",
              "a missing chip": "Critical", "a larger heading": "h1"}  # fmt: skip
    assert wanted[name] in comparer.problems[0]


def test_it_finds_nothing_in_the_same_page(kept):
    page, album = kept
    comparer = album(False)
    comparer.check("page", draw(page))
    comparer.check_layout(600, "light", "layout", {"page": layout_of(page.locator("main"))})
    assert comparer.problems == []


@pytest.mark.parametrize("style", ["-webkit-text-stroke: .15px", "text-rendering: geometricPrecision"])
def test_other_edges_of_letters_are_no_difference(kept, style):
    """Thicker strokes and other advances: what other machines do to text."""
    page, album = kept
    comparer = album(False)
    drawn = draw(page, f"main {{ {style} }}")
    assert drawn != draw(page)
    comparer.check("page", drawn)
    assert comparer.problems == []


def test_a_page_a_pixel_lower_is_no_difference(kept):
    page, album = kept
    comparer = album(False)
    comparer.check("page", draw(page, "main { padding-top: 17px }"))
    assert comparer.problems == []


def test_a_page_without_a_reference_is_told(kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page, album = kept
    comparer = album(False)
    comparer.check("another", draw(page))
    assert "there is no reference" in comparer.problems[0]


def test_a_layout_tells_what_moved_went_or_came():
    button, chip = ["button.btn", "Approve", [10, 10, 80, 32]], ["span.risk", "Low", [10, 60, 40, 20]]
    assert moved([button, chip], [button, chip]) == []
    assert moved([button], [["button.btn", "Approve", [12, 11, 82, 32]]]) == []
    elsewhere = ["button.btn", "Approve", [20, 10, 80, 32]]
    assert moved([button], [elsewhere]) == ["button.btn “Approve” was at [10, 10, 80, 32], is at [20, 10, 80, 32]"]
    assert moved([button, chip], [button]) == ["2 things were here, now 1"]
    assert "now span.risk “Low”" in moved([button], [chip])[0]
