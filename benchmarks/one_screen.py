"""One reviewer's inbox in a real Chromium: when is a row that was committed on the page?

The page notes it itself, in a MutationObserver, as soon as a row that takes up room is in the document:
`performance.timeOrigin + performance.now()`. The commit is noted with `time.monotonic()`, to which the difference to
`time.time()` of that moment is added. So both are the wall clock of this one machine; the browser reads it when the page is
opened and counts on monotonically from there, and a clock that is set meanwhile would falsify the figure.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from django.conf import settings
from playwright.async_api import Page, async_playwright

OPTIONS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update")
PATIENCE = 10.0  # seconds
NOTE_ROWS = """
  window.rowsSeen = {};
  new MutationObserver(() => {
    for (const row of document.querySelectorAll("[data-row]")) {
      if (!(row.id in window.rowsSeen) && row.getClientRects().length)
        window.rowsSeen[row.id] = performance.timeOrigin + performance.now();
    }
  }).observe(document, { childList: true, subtree: true });
"""


type Pause = Callable[[], Awaitable[tuple[str, float]]]


async def measure(url: str, session: str, pause: Pause, cards: int, apart: float) -> list[float]:
    """Let ``cards`` rows appear, ``apart`` seconds from each other. ``pause`` asks for one and gives its id and when it was
    committed (Unix time, seconds). Returns milliseconds. Raises TimeoutError when a row does not come."""
    async with async_playwright() as playwright:
        program = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
        browser = await playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        try:
            context = await browser.new_context(viewport={"width": 1440, "height": 900})
            await context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])
            page = await context.new_page()
            await page.add_init_script(NOTE_ROWS)
            await page.goto(f"{url}/")
            await page.locator('#wire[data-state="live"]').wait_for()
            taken = []
            for _ in range(cards + 1):
                await asyncio.sleep(apart)
                id, committed = await pause()
                taken.append(await _seen(page, f"row-{id}") - committed * 1000)
            return taken[1:]  # the first one met a cold page
        finally:
            await browser.close()


async def _seen(page: Page, row: str) -> float:
    """When the row was there, in milliseconds. It is asked for seldom: asking costs the page time, too."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        await asyncio.sleep(0.25)
        seen = await page.evaluate("(row) => window.rowsSeen[row]", row)
        if seen is not None:
            return float(seen)
    raise TimeoutError(f"after {PATIENCE} s {row} is not on the page of {urlsplit(page.url).netloc}")
