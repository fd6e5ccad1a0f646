"""From the key that decides an approval to the next one on the screen, in Chromium and by the page's own clock; and what a
browser that has nothing of the desk yet loads to show a page."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Error, sync_playwright

from agentdesk.people.models import Membership, Role, Team, User
from approvals.models import Approval
from benchmarks import seed
from benchmarks.company import session_of
from benchmarks.figures import Figure, at_most, beside, percentile
from benchmarks.stage import Stage

KEYS = 60
BUDGET = 150.0  # ms
WEIGHT = 80.0  # KB of script and style
READING_MS = 400  # between two keys: nobody decides sooner
PATIENCE_MS = 20_000
LOOK_MS = 50

# It notes the key, then looks at each frame whether another approval's card stands under its own address. The moment counts
# that comes after the frame with it was painted. All is kept in the session's storage, which outlives the page.
CLOCK = """
const now = () => performance.timeOrigin + performance.now();
addEventListener("keydown", (event) => {
  if (event.key === "a") sessionStorage.pressed = JSON.stringify([location.pathname, performance.timeOrigin + event.timeStamp]);
}, true);
function look() {
  requestAnimationFrame(look);
  const [from, at] = JSON.parse(sessionStorage.pressed ?? "[]");
  const card = document.querySelector("article#approval h1")?.closest("article");
  if (!from || from === location.pathname || !card || !location.pathname.includes(card.dataset.watch.split(":")[1])) return;
  sessionStorage.removeItem("pressed");
  const painted = new MessageChannel();
  painted.port1.onmessage = () => { sessionStorage.taken = now() - at; };
  requestAnimationFrame(() => painted.port2.postMessage(null));
}
look();
"""
LOADED = """() => performance.getEntriesByType("resource")
  .filter(({ name }) => /\\.(js|css)$/.test(new URL(name).pathname)).map(({ transferSize }) => transferSize)"""


def measure(stage: Stage) -> Iterator[Figure]:
    reviewer = _reviewer(stage)
    first = Approval.objects.filter(team__slug="keys").earliest("expires_at", "pk")
    detail = reverse("approvals:detail", args=[first.pk])
    for name, address in {"inbox": "/", "decision page": detail}.items():
        with _page(stage, reviewer) as page:
            page.goto(address, wait_until="load")
            loaded = page.evaluate(LOADED)
        what = f"script and style of the {name}, {len(loaded)} files, transferred on first load"
        yield at_most(what, sum(loaded) / 1024, WEIGHT, "KB")
    with _page(stage, reviewer) as page:
        page.add_init_script(CLOCK)
        page.goto(detail, wait_until="load")
        taken = [_press(page) for _ in range(KEYS)]
    yield at_most(f"key pressed → next approval on screen, {KEYS} decisions, p95", percentile(taken, 95), BUDGET, "ms")
    yield beside("the same, p50", percentile(taken, 50), "ms")


def _reviewer(stage: Stage) -> User:
    """Somebody for whom only approvals of low risk wait, which one key decides."""
    team = Team.objects.create(slug="keys", name="Keys")
    reviewer = User.objects.create(username="keys")
    Membership.objects.create(user=reviewer, team=team, role=Role.REVIEWER)
    seed.waiting_for(stage, team.pk, 10**9, 10**9 + KEYS + 20)
    stage.analyze()
    return reviewer


def _press(page: Any) -> float:
    """Milliseconds by the page's clock."""
    page.wait_for_selector("#wire[data-state=live]", timeout=PATIENCE_MS)
    page.wait_for_timeout(READING_MS)
    page.evaluate("sessionStorage.removeItem('taken')")
    page.keyboard.press("a")
    until = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < until:
        page.wait_for_timeout(LOOK_MS)
        with suppress(Error):  # it is between two pages
            if (taken := page.evaluate("sessionStorage.taken")) is not None:
                return float(taken)
    raise TimeoutError("no next approval came onto the screen")


@contextmanager
def _page(stage: Stage, user: User) -> Iterator[Any]:
    """A page of a browser that has nothing of the desk yet."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    sessions: list[Any] = [{"name": settings.SESSION_COOKIE_NAME, "value": session_of(user), "url": stage.desk.url}]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        context = browser.new_context(base_url=stage.desk.url, viewport={"width": 1440, "height": 900})
        context.add_cookies(sessions)
        try:
            yield context.new_page()
        finally:
            browser.close()
