"""What no push told is found in the database and told then, once."""

import pytest

from agentdesk.live import hub, registry
from agentdesk.live.audience import Event
from agentdesk.live.lookout import Lookout
from agentdesk.live.push import push
from tests.live.conftest import Page, in_database, told


@pytest.fixture
def versions(rendered, monkeypatch):
    """By kind and id: the current versions, as the database would have them. Looks come quickly."""
    current = {"approval": {}, "row": {}}
    for kind, found in current.items():
        known = registry.get(kind)
        changed = lambda _look, found=found: [(id, version, "") for id, version in found.items()]  # noqa: E731
        monkeypatch.setitem(registry._kinds, kind, registry.Pushed(known.visible_ids, known.render, changed))
    monkeypatch.setattr(hub, "TICK", 0.1)
    return current


async def test_it_tells_a_row_that_no_push_told_and_tells_it_once(member, team, versions, client_of):
    page = await Page(await in_database(client_of, member)).open(("inbox", "mine"))
    versions["row"][str(team.pk)] = 2
    html = f'<p id="team-{team.pk}">Refunds</p>'
    assert await page.frames() == [{"kind": "row", "id": str(team.pk), "version": 2, "html": html}]
    assert await page.frames() == []
    await page.close()


async def test_it_says_the_bare_version_of_anything_else(member, team, versions, rendered, client_of):
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    versions["approval"][str(team.pk)] = 3
    assert await page.frames() == [{"kind": "approval", "id": str(team.pk), "version": 3, "html": ""}]
    assert rendered == []
    await page.close()


async def test_it_is_silent_about_what_a_push_told(member, team, versions, client_of):
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    push("approval", team.pk, 4)
    await told()
    assert [frame["version"] for frame in await page.frames()] == [4]
    versions["approval"][str(team.pk)] = 4
    assert await page.frames() == []
    await page.close()


async def test_it_tells_other_teams_nothing_of_it(team, versions, client_of, django_user_model):
    stranger = await in_database(django_user_model.objects.create_user, "stranger", password="x")
    page = await Page(await in_database(client_of, stranger)).open(("approval", str(team.pk)), ("inbox", "mine"))
    for kind in versions:
        versions[kind][str(team.pk)] = 2
    assert await page.frames() == []
    await page.close()


def test_it_forgets_what_looks_do_not_find_any_more(monkeypatch):
    now = 1_000.0
    monkeypatch.setattr("agentdesk.live.lookout.time.monotonic", lambda: now)
    lookout = Lookout()
    lookout.tell("row", "a", 2)
    lookout.tell("row", "b", 2)
    for now in (1_003.0, 1_100.0, 1_200.0):
        assert lookout.untold([Event("row", "a", 2)], now) == []
    assert list(lookout._told) == [("row", "a")]
