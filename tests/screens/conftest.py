"""One browser page that takes pictures, with a clock that stands still and letters of its own; a desk with rows made for it."""

import base64
import os
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page

from agentdesk.people.models import User
from tests.approvals.web.conftest import web, web_process  # noqa: F401  # fixtures
from tests.screens.pictures import Album

NOW = datetime(2040, 3, 5, 14, 2, 10, tzinfo=UTC)
PATIENCE_MS = 60_000  # the styleguide is a page of many hundred parts
FONTS = Path(__file__).parent / "font"
WEIGHTS = {
    "screens-sans": ("Screens Sans", "400 500"),
    "screens-sans-bold": ("Screens Sans", "600 900"),
    "screens-mono": ("Screens Mono", "400 900"),
}


def letters() -> str:
    """A style sheet that sets everything in the fonts that lie here, so that lines break alike on every machine."""
    faces = [
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; '
        f'src: url("data:font/woff;base64,{base64.b64encode((FONTS / f"{name}.woff").read_bytes()).decode()}"); }}'
        for name, (family, weight) in WEIGHTS.items()
    ]
    # The id of a run is another one each time.
    return "\n".join(
        [*faces, ':root { --sans: "Screens Sans"; --mono: "Screens Mono"; }', "#panel .kv code { color: transparent; }"]
    )


class Studio:
    """A page that is looked at in each width and theme."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        page.clock.set_fixed_time(NOW)
        page.set_default_timeout(PATIENCE_MS)

    def sign_in(self, user: User | None) -> None:
        self.page.context.clear_cookies()
        if user is None:
            return
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        self.page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": self.url}])

    def widen(self, width: int) -> None:
        self.page.set_viewport_size({"width": width, "height": 900 if width > 1000 else 844})

    def open(self, address: str, width: int, theme: str, *, ready: str = "h1") -> None:
        """Open the address, and wait until ``ready`` is there and all letters are."""
        self.widen(width)
        self.page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        self.page.goto(self.url + address)
        self.page.add_style_tag(content=letters())
        self.page.locator(ready).first.wait_for(state="attached")
        if self.page.locator("#wire").count():
            self.page.locator('#wire[data-state="live"]').wait_for()
        # A time of today, as of the proof that one sample shows, is none of the samples' own.
        self.page.evaluate(
            """async () => {
              for (const time of document.querySelectorAll(".part time"))
                if (time.dateTime < "2040") time.textContent = "13:53:27";
              await document.fonts.ready;
              await Promise.all([400, 600].map((weight) => document.fonts.load(`${weight} 14px "Screens Sans"`)));
              await document.fonts.load('14px "Screens Mono"');
            }"""
        )

    def leave(self, name: str) -> None:
        """Leave this section of the styleguide alone on the page, which makes its picture quick."""
        self.page.evaluate(
            "(name) => document.querySelectorAll('section.part').forEach((part) => { part.hidden = part.id !== name; })", name
        )

    def picture(self, selector: str = "") -> bytes:
        """Of an element; of the whole page without one."""
        how: dict[str, Any] = {"animations": "disabled", "caret": "hide", "scale": "css"}
        return self.page.locator(selector).screenshot(**how) if selector else self.page.screenshot(full_page=True, **how)


@pytest.fixture
def studio(web: Any, new_page: Callable[..., Page]) -> Studio:  # noqa: F811
    # The letters come as a style of the page's own, which its policy would refuse.
    return Studio(new_page(bypass_csp=True, timezone_id="UTC", locale="en-GB"), web.url)


@pytest.fixture
def album(browser: Browser) -> Generator[Album]:
    """With SCREENS=renew (make screens) the references are written; else what differs from them fails the test."""
    scale = browser.new_page()
    made = Album(scale, renews=os.environ.get("SCREENS") == "renew")
    yield made
    scale.close()
    assert made.problems == [], "\n".join(
        [*made.problems, "Meant so? make screens writes the references anew; look at them before you commit them."]
    )
