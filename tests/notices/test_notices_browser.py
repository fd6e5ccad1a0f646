"""Notifications in a browser: switching them on, and being told while the page is hidden."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from agentdesk.live.push import flush
from tests.approvals.cast import make_approval, make_team, make_user, post
from tests.approvals.web.conftest import open_as, web, web_process  # noqa: F401 - fixtures
from tests.notices.conftest import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

# In place of the system's notifications, which a browser without a screen does not show, and of another window in front.
STAND_IN = """
window.told = [];
window.heard = [];
document.addEventListener("desk:shown", ({ detail }) => heard.push(detail.id));
window.isAway = false;
window.Notification = class {
  static permission = localStorage.getItem("asked") ?? "default";
  static async requestPermission() { localStorage.setItem("asked", "granted"); return (this.permission = "granted"); }
  constructor(title, options) { told.push([title, options.tag, Object.keys(options).length]); }
  addEventListener() {}
};
Object.defineProperty(document, "visibilityState", { get: () => (window.isAway ? "hidden" : "visible") });
"""
AWAY = "() => { window.isAway = true }"


def test_who_switches_them_on_is_told_of_new_approvals_while_looking_elsewhere(open_as: Any, tmp_path: Any):  # noqa: F811
    team = make_team("Support")
    robin = make_user(team, name="robin", first_name="Robin", last_name="Vale")
    sam = make_user(team, name="sam")
    page = open_as(robin, "about:blank")
    page.add_init_script(STAND_IN)
    page.goto("/profile/notifications/")
    button = page.get_by_role("button", name="Notify me in this browser")
    expect(button).to_be_visible()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert not Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag22aa"]}).response["violations"]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.screenshot(path=tmp_path / f"notifications-{theme}-{width}.png", full_page=True)
    make_approval(team, risk="low")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Notifications are on in this browser.")).to_be_visible()

    page.goto("/runs/")
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    seen = make_approval(team, risk="low")
    assert flush()
    wait_until(lambda: str(seen.pk) in page.evaluate("heard"))
    assert page.evaluate("told") == [], "whoever looks at the desk needs no notification"
    page.evaluate(AWAY)
    approval = make_approval(team, risk="high")
    assert flush()
    wait_until(lambda: page.evaluate("told.length") > 0)
    post(approval, sam)
    make_approval(make_team("Finance"), risk="critical")
    last = make_approval(team, risk="critical")
    assert flush()
    wait_until(lambda: page.evaluate("told.length") > 1)
    assert page.evaluate("told") == [
        ["High risk: an approval waits", str(approval.pk), 1],
        ["Critical risk: an approval waits", str(last.pk), 1],
    ]

    page.goto("/profile/notifications/")
    page.get_by_role("button", name="Switch them off").click()
    expect(page.locator("#wire")).to_have_attribute("data-state", "live")
    page.evaluate(AWAY)
    unheard = make_approval(team, risk="high")
    assert flush()
    wait_until(lambda: str(unheard.pk) in page.evaluate("heard"))
    assert page.evaluate("told") == []
