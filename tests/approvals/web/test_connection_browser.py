"""The page's socket ends in one way or another: the page connects again by itself, and shows what happened meanwhile."""

import pytest
from playwright.sync_api import Page, expect

from agentdesk.live.consumer import SOCKETS_MAX
from agentdesk.live.push import flush
from tests.approvals.cast import make_approval, make_team, make_user

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

OPEN_MANY = """(count) => Promise.all(Array.from({ length: count }, () => new Promise((done) => {
  const socket = new WebSocket(document.body.dataset.live);
  (window.more ??= []).push(socket);
  socket.addEventListener("message", done, { once: true });
})))"""


@pytest.fixture
def people(web):
    team = make_team("Support")
    return team, make_user(team, name="robin", first_name="Robin", last_name="Vale")


def ask(team, order):
    make_approval(team, risk="low", args={"order_id": order, "amount": "24.00"})
    assert flush()


def row(page: Page, order: str):
    return page.get_by_role("main").get_by_role("row", name=f"order {order}")


def state(page: Page):
    return page.locator("#wire")


@pytest.mark.parametrize("code", [1000, 1001, 1013], ids=["after a day (--websocket_timeout)", "restarted", "given up"])
def test_it_connects_again_after_the_desk_has_closed_the_socket(code, open_as, people):
    team, reviewer = people
    page = open_as(reviewer, "about:blank")
    routes = []

    def through(route):
        routes.append(route)
        route.connect_to_server()

    page.route_web_socket("**/ws/live/", through)
    page.goto("/")
    expect(state(page)).to_have_text("Live")
    routes[0].close(code=code)
    expect(state(page)).to_have_text("Offline")
    ask(team, "D-1")
    expect(state(page)).to_have_text("Live")
    expect(row(page, "D-1")).to_be_visible()
    assert len(routes) == 2


def test_it_connects_again_when_the_computer_has_slept(open_as, people):
    """The browser still believes in the connection, on which nothing comes any more."""
    team, reviewer = people
    page = open_as(reviewer, "about:blank")
    routes, asleep = [], []

    def through(route):
        server = route.connect_to_server()
        routes.append(route)
        server.on_message(lambda message: None if route in asleep else route.send(message))

    page.route_web_socket("**/ws/live/", through)
    page.clock.install()
    page.goto("/")
    expect(state(page)).to_have_text("Live")
    asleep.append(routes[0])
    ask(team, "D-2")
    page.clock.fast_forward(3_600_000)
    page.clock.fast_forward(10_000)
    expect(row(page, "D-2")).to_be_visible()
    expect(state(page)).to_have_text("Live")
    assert len(routes) == 2


def test_it_says_that_too_many_pages_are_open_and_tries_seldom(open_as, people):
    _team, reviewer = people
    first = open_as(reviewer, "/")
    expect(state(first)).to_have_text("Live")
    first.evaluate(OPEN_MANY, SOCKETS_MAX - 1)
    page = open_as(reviewer, "about:blank")
    tried = []
    page.on("websocket", lambda socket: tried.append(socket))
    page.clock.install()
    page.goto("/")
    alert = page.get_by_role("alert").filter(has_text="Live updates stopped")
    expect(alert).to_contain_text("You have more pages open than the desk keeps up to date: close some.")
    expect(state(page)).to_have_text("Offline")
    page.clock.fast_forward(10_000)
    assert len(tried) == 1
    first.evaluate("() => window.more.forEach((socket) => socket.close())")
    page.clock.fast_forward(30_000)
    expect(state(page)).to_have_text("Live")
    expect(alert).to_be_hidden()
