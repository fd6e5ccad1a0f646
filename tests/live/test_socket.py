"""The socket of a page: who gets what, and when it ends."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from agentdesk.live import consumer, hub, registry
from agentdesk.live.consumer import TRY_AGAIN, LiveConsumer, Malformed, origin_allowed, read_watch
from agentdesk.live.push import push, token
from agentdesk.people.models import Membership, Role, User
from tests.live.conftest import Page, in_database, told


async def test_it_pushes_what_the_page_watches_and_the_user_sees(member, team, rendered, client_of):
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    push("approval", team.pk, 3)
    frame = {"kind": "approval", "id": str(team.pk), "version": 3, "html": f'<p id="team-{team.pk}">Refunds</p>'}
    assert await page.frame() == frame
    push("approval", uuid4(), 1)
    push("run", team.pk, 1)
    await told()
    assert await page.frames() == []
    await page.close()


async def test_it_pushes_rows_to_inboxes_and_steps_tokens_to_who_watches_the_run(member, team, rendered, client_of):
    page = await Page(await in_database(client_of, member)).open(("inbox", "mine"), ("run", str(team.pk)))
    push("row", team.pk, 1)
    token(team.pk, "s1", 4, "He")
    await told()
    row, piece = await page.frames()
    assert (row["kind"], row["id"]) == ("row", str(team.pk))
    assert piece == {"kind": "token", "run": str(team.pk), "step": "s1", "seq": 4, "text": "He"}
    await page.close()


async def test_it_renders_once_for_all_pages_and_only_the_latest_version(member, team, rendered, client_of):
    client = await in_database(client_of, member)
    pages = [await Page(client).open(("approval", str(team.pk))) for _ in range(3)]
    for version in (1, 2, 3):
        push("approval", team.pk, version)
    await told()
    versions = [[frame["version"] for frame in await page.frames()] for page in pages]
    assert versions[0] == versions[1] == versions[2]
    assert versions[0][-1] == 3
    assert len(rendered) == len(versions[0])
    for page in pages:
        await page.close()


async def test_it_tells_other_teams_nothing(member, team, rendered, client_of):
    stranger = await in_database(User.objects.create_user, "stranger", password="x")
    page = await Page(await in_database(client_of, stranger)).open(
        ("approval", str(team.pk)), ("run", str(team.pk)), ("inbox", "mine")
    )
    for kind in ("approval", "row", "run"):
        push(kind, team.pk, 1)
    token(team.pk, "s1", 1, "secret")
    await told()
    assert await page.frames() == []
    assert rendered == []
    await page.close()


async def test_it_stops_when_the_membership_ends_and_begins_when_one_does(member, team, rendered, client_of):
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    await in_database(Membership.objects.all().delete)
    push("approval", team.pk, 1)
    await told()
    assert await page.frames() == []
    await in_database(Membership.objects.create, user=member, team=team, role=Role.OPERATOR)
    push("approval", team.pk, 2)
    assert (await page.frame())["version"] == 2
    await page.close()


def sign_out(user):
    Session.objects.all().delete()


def let_session_end(user):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


def switch_off(user):
    User.objects.filter(pk=user.pk).update(is_active=False)


def change_password(user):
    user.set_password("another")
    user.save()


def delete(user):
    Membership.objects.all().delete()
    user.delete()


@pytest.mark.parametrize("end", [sign_out, let_session_end, switch_off, change_password, delete])
async def test_it_closes_instead_of_pushing_once_the_user_is_gone(end, member, team, rendered, client_of):
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    await in_database(end, member)
    push("approval", team.pk, 1)
    assert await page.close_code() == consumer.SIGNED_OUT
    assert rendered == []
    await page.close()


async def test_it_closes_soon_after_the_sign_out_without_any_push(member, client_of, monkeypatch):
    monkeypatch.setattr(hub, "TICK", 0.1)
    page = await Page(await in_database(client_of, member)).open()
    await in_database(sign_out, member)
    assert await page.close_code(3) == consumer.SIGNED_OUT
    await page.close()


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://127.0.0.1:8000", "http://127.0.0.1:8001", "http://127.0.0.1:8000.evil.example", "null"],
)
async def test_it_refuses_pages_from_elsewhere(origin, member, client_of, caplog):
    page = Page(await in_database(client_of, member), origin=origin)
    await page.socket.send_input({"type": "websocket.connect"})
    assert await page.close_code() == consumer.WRONG_ORIGIN
    await page.close()


async def test_it_refuses_who_sends_no_origin(member, client_of, caplog):
    page = Page(await in_database(client_of, member), origin=None)
    await page.socket.send_input({"type": "websocket.connect"})
    assert await page.close_code() == consumer.WRONG_ORIGIN
    await page.close()


async def test_it_refuses_who_is_not_signed_in(committed):
    page = Page()
    await page.socket.send_input({"type": "websocket.connect"})
    assert await page.close_code() == consumer.SIGNED_OUT
    await page.close()


async def test_it_limits_the_sockets_of_one_user(member, client_of, monkeypatch):
    monkeypatch.setattr(consumer, "SOCKETS_MAX", 1)
    client = await in_database(client_of, member)
    first, second = await Page(client).open(), Page(client)
    await second.socket.send_input({"type": "websocket.connect"})
    assert await second.close_code() == consumer.TOO_MANY
    for page in (first, second):
        await page.close()


async def test_it_closes_on_a_frame_that_is_no_watch(member, client_of):
    page = await Page(await in_database(client_of, member)).open()
    await page.socket.send_to(text_data='{"watch": [["approval", "../1"]]}')
    assert await page.close_code() == consumer.MALFORMED
    await page.close()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "1",
        "{}",
        "[" * 10_000,
        '{"watch": 1}',
        '{"watch": [1]}',
        '{"watch": [["run"]]}',
        '{"watch": [["run", 1]]}',
        '{"watch": [["run", "x"]]}',
        '{"watch": [["inbox", "theirs"]]}',
        '{"watch": [["step", "018f3c1e-0000-7000-8000-000000000000"]]}',
        json.dumps({"watch": [["run", str(uuid4())] for _ in range(consumer.WATCH_MAX + 1)]}),
        json.dumps({"watch": [], "more": "x" * consumer.FRAME_MAX}),
    ],
)
def test_it_takes_nothing_but_a_short_list_of_ids(text):
    with pytest.raises(Malformed):
        read_watch(text)


def test_it_reads_what_a_page_watches():
    run = uuid4()
    assert read_watch(json.dumps({"watch": [["run", str(run).upper()], ["inbox", "mine"]]})) == {
        ("run", str(run)),
        ("inbox", "mine"),
    }


def test_it_knows_origins_by_scheme_host_and_port(settings):
    settings.ORIGINS = ["https://desk.example"]
    assert origin_allowed("https://desk.example")
    assert origin_allowed("https://DESK.example:443")
    assert not origin_allowed("https://desk.example:444")
    assert not origin_allowed("http://desk.example")
    assert not origin_allowed("https://user@desk.example")
    assert not origin_allowed("https://desk.example/path")


def test_it_takes_a_loopback_desks_own_pages_on_any_port(settings, caplog):
    settings.LOOPBACK = True
    assert origin_allowed("http://localhost:9000", "localhost:9000")
    assert not origin_allowed("http://localhost:9000", "localhost:9001")
    assert not origin_allowed("https://localhost:9000", "localhost:9000")
    assert not origin_allowed("http://evil.example:9000", "evil.example:9000")
    settings.LOOPBACK = False
    assert not origin_allowed("http://localhost:9000", "localhost:9000")


async def test_it_forgets_what_a_page_no_longer_watches(member, team, rendered, client_of):
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    await page.watch(("run", str(team.pk)))
    push("approval", team.pk, 1)
    push("run", team.pk, 1)
    await told()
    assert [frame["kind"] for frame in await page.frames()] == ["run"]
    await page.close()


async def test_it_tells_pages_to_fetch_when_an_event_was_lost(member, team, rendered, client_of, monkeypatch, caplog):
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    monkeypatch.setattr(hub, "prepare", lambda plan: 1 / 0)
    push("approval", team.pk, 1)
    assert await page.frame() == {"kind": "resync"}
    monkeypatch.undo()
    await page.close()


async def test_it_skips_what_is_gone(member, team, rendered, client_of, monkeypatch):
    seen = registry.get("approval").visible_ids
    monkeypatch.setitem(registry._kinds, "approval", registry.Pushed(seen, lambda id, version: None))
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)), ("run", str(team.pk)))
    push("approval", team.pk, 2)
    push("run", team.pk, 1)
    await told()
    assert [frame["kind"] for frame in await page.frames()] == ["run"]
    await page.close()


async def test_it_closes_a_page_that_it_could_not_send_to(member, team, rendered, client_of, monkeypatch):
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))

    async def fail(_self, _text):
        raise ValueError("not accepted")

    monkeypatch.setattr(LiveConsumer, "send_frame", fail)
    push("approval", team.pk, 1)
    assert await page.close_code() == TRY_AGAIN, "so that the page connects again"


async def test_a_fragment_that_cannot_be_made_is_fetched_and_costs_nobody_else_anything(
    member, team, rendered, client_of, monkeypatch
):
    seen = registry.get("approval").visible_ids
    monkeypatch.setitem(registry._kinds, "approval", registry.Pushed(seen, lambda id, version: 1 / 0))
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    push("approval", team.pk, 2)
    await told()
    assert await page.frames() == [{"kind": "approval", "id": str(team.pk), "version": 2, "html": ""}]
    await page.close()


async def test_a_very_large_fragment_is_fetched(member, team, rendered, client_of, monkeypatch):
    seen = registry.get("approval").visible_ids
    monkeypatch.setitem(registry._kinds, "approval", registry.Pushed(seen, lambda id, version: (version, "x" * 500_001)))
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    push("approval", team.pk, 2)
    await told()
    assert await page.frames() == [{"kind": "approval", "id": str(team.pk), "version": 2, "html": ""}]
    await page.close()
