"""Valkey goes away and comes back: pages are told to fetch everything anew."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from channels.layers import channel_layers, get_channel_layer
from django.conf import settings

from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.secrets import load_secrets
from agentdesk.embedded.valkey import Valkey
from agentdesk.live import hub
from agentdesk.live.push import push
from agentdesk.live.sender import sender
from tests.live.conftest import Page, in_database, told


@pytest.fixture
def valkey(monkeypatch):
    """A broker of this test's own, which it may stop, in the place of the shared one."""
    folder = Path(tempfile.mkdtemp(prefix="agentdesk-outage-"))  # pytest's own folders are closed to the server's account
    folder.chmod(0o711)
    server = Valkey(folder, load_secrets(folder / "secrets.json"), service_account())
    server.start()
    config = {"BACKEND": settings.CHANNEL_LAYERS["default"]["BACKEND"], "CONFIG": {"hosts": [server.url()], "prefix": "t"}}
    monkeypatch.setitem(channel_layers.configs, "default", config)
    layer = channel_layers.backends.pop("default", None)
    yield server
    channel_layers.backends.pop("default", None)
    if layer is not None:
        channel_layers.backends["default"] = layer
    server.stop()
    shutil.rmtree(folder)


async def test_it_falls_silent_without_its_broker_and_has_pages_fetch_afterwards(
    member, team, rendered, client_of, valkey, monkeypatch, caplog
):
    monkeypatch.setattr(hub, "TICK", 0.2)
    monkeypatch.setattr(hub, "HEARTBEAT_TICKS", 1)
    monkeypatch.setattr(hub, "DEAF_AFTER", 1.0)
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    assert await page.frame() == {"kind": "hb"}

    await asyncio.to_thread(valkey.stop)
    failed = sender().events.counts.failed
    push("approval", team.pk, 1)
    await told()
    assert sender().events.counts.failed > failed
    while hub.hub().hears:
        await asyncio.sleep(0.1)
    while not await page.socket.receive_nothing(0.5):  # the heartbeats from before
        assert (await page.frame())["kind"] == "hb"

    await asyncio.to_thread(valkey.restart)
    frame = await page.frame(15)
    assert frame == {"kind": "resync"}
    push("approval", team.pk, 2)
    while (frame := await page.frame())["kind"] == "hb":
        pass
    assert (frame["kind"], frame["version"]) == ("approval", 2)
    await page.close()


async def test_a_page_opened_while_nothing_is_heard_hears_as_soon_as_something_is(
    member, team, rendered, client_of, valkey, monkeypatch
):
    monkeypatch.setattr(hub, "RETRY", 0.2)
    await asyncio.to_thread(valkey.stop)
    page = Page(await in_database(client_of, member))
    assert await page.socket.connect(timeout=5) == (True, None)
    await page.socket.send_json_to({"watch": [["approval", str(team.pk)]]})
    assert await page.socket.receive_nothing(2.5), "longer than a page is let wait for the first frame"

    await asyncio.to_thread(valkey.restart)
    assert await page.frame(15) == {"kind": "resync"}
    push("approval", team.pk, 2)
    while (frame := await page.frame())["kind"] == "hb":
        pass
    assert (frame["kind"], frame["version"]) == ("approval", 2)
    await page.close()


async def test_it_subscribes_again_when_the_broker_forgot_it(member, team, rendered, client_of, valkey, monkeypatch):
    monkeypatch.setattr(hub, "TICK", 0.2)
    monkeypatch.setattr(hub, "DEAF_AFTER", 1.0)
    page = await Page(await in_database(client_of, member)).open(("approval", str(team.pk)))
    subscriptions = get_channel_layer()._get_layer()._shards[0]._pubsub
    await subscriptions.unsubscribe()  # the layer believes to be subscribed

    while (await page.frame(10))["kind"] != "resync":
        pass
    push("approval", team.pk, 2)
    while (frame := await page.frame())["kind"] == "hb":
        pass
    assert (frame["kind"], frame["version"]) == ("approval", 2)
    await page.close()
