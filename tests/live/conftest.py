"""Pages without a browser: sockets straight into the ASGI application, teams as the things that are pushed."""

import asyncio
import json

import pytest
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from agentdesk.asgi import application
from agentdesk.live import registry
from agentdesk.live.hub import hub
from agentdesk.live.push import flush
from agentdesk.people.models import Membership, Role, Team, User

QUIET = 0.3  # seconds in which nothing must come


class Page:
    """One open socket."""

    def __init__(self, client=None, origin=settings.AGENTDESK_URL, language=""):
        headers = [(b"origin", origin.encode())] if origin is not None else []
        if client is not None:
            cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
            headers.append((b"cookie", cookie.encode()))
        if language:
            headers.append((b"accept-language", language.encode()))
        self.socket = WebsocketCommunicator(application, "/ws/live/", headers=headers)

    async def open(self, *watch):
        connected, _ = await self.socket.connect(timeout=5)
        assert connected
        assert await self.frame() == {"kind": "hb"}
        if watch:
            await self.watch(*watch)
        return self

    async def watch(self, *topics):
        await self.socket.send_json_to({"watch": [list(topic) for topic in topics]})
        while not (await self.frame()).get("watching"):
            pass

    async def frame(self, timeout=5):
        return await self.socket.receive_json_from(timeout)

    async def frames(self):
        """Everything that comes until it is quiet, without heartbeats."""
        found = []
        while not await self.socket.receive_nothing(QUIET):
            found.append(json.loads(await self.socket.receive_from()))
        return [frame for frame in found if frame["kind"] != "hb"]

    async def close_code(self, timeout=5):
        while True:
            message = await self.socket.receive_output(timeout)
            if message["type"] == "websocket.close":
                return message["code"]
            assert message["type"] == "websocket.accept" or json.loads(message["text"])["kind"] == "hb", message

    async def close(self):
        await self.socket.disconnect()


@pytest.fixture
def rendered(monkeypatch):
    """Teams are what is pushed, under the names of real kinds; the list holds what was rendered."""
    calls = []

    def visible_ids(users, ids):
        return {user.pk: {id for id in ids if id in {str(team) for team in user.team_ids()}} for user in users}

    def render(id, version):
        calls.append((id, version))
        team = Team.objects.filter(pk=id).first()
        return (version, f'<p id="team-{id}">{team.name}</p>') if team else None

    pushed = registry.Pushed(visible_ids, render)
    monkeypatch.setattr(registry, "_kinds", dict.fromkeys(("approval", "row", "run"), pushed))
    return calls


@pytest.fixture
def team(committed):
    return Team.objects.create(slug="refunds", name="Refunds")


@pytest.fixture
def member(team):
    user = User.objects.create_user("robin", password="secret")
    Membership.objects.create(user=user, team=team, role=Role.REVIEWER)
    return user


@pytest.fixture
def client_of():
    def sign_in(user):
        client = Client()
        client.force_login(user)
        return client

    return sign_in


async def told():
    """Wait until what was pushed has left this process."""
    assert await asyncio.to_thread(flush, 5)


async def in_database(function, *args, **kwargs):
    """Use the database from an asynchronous test, as the hub does."""
    return await hub().call(function, *args, **kwargs)
