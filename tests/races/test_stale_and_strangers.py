"""Over real HTTP: a form that is not current changes nothing, and another team's reviewer finds nothing at any door."""

import asyncio
import json
from http import HTTPStatus

import pytest
from websockets.asyncio.client import connect

from agentdesk.audit.models import AuditEntry
from agentdesk.live.push import flush, push
from approvals import requests
from approvals.models import Approval, Decision, Review
from tests.cast import make_approval
from tests.races.conftest import WEBS

OTHER_DIGEST = f"sha256:{'0' * 64}"
QUIET = 1.0  # seconds in which nothing may come
STALE = {
    "a version that is not yet": lambda approval: {"digest": approval.digest, "version": approval.version + 1},
    "other arguments": lambda approval: {"digest": OTHER_DIGEST, "version": approval.version},
    "no digest": lambda approval: {"digest": "", "version": approval.version},
}


def assert_untouched(approval):
    revision = approval.revision
    approval.refresh_from_db()
    assert (approval.status, approval.revision) == ("pending", revision)
    assert not Decision.objects.filter(approval=approval).exists()
    assert not Review.objects.filter(approval=approval).exists()
    actions = AuditEntry.objects.filter(object_id=str(approval.pk)).values_list("action", flat=True)
    assert set(actions) == {"approval.requested"}


def test_a_form_that_is_not_current_changes_nothing(cast, person_at):
    approval = make_approval(cast.support)
    person = person_at(WEBS[0], cast.reviewer)
    for what, stale in STALE.items():
        for verdict in ("approve", "reject"):
            typed = {**stale(approval), "message": "kept words"}
            page = person.decide_on_page(approval, verdict, **typed)
            assert page.status == HTTPStatus.CONFLICT, what
            assert "This has changed since you saw it." in page.text
            assert "kept words" in page.text, "what was typed comes back"
            assert f'name="digest" value="{approval.digest}"' in page.text, "the current card's form comes back"
            api = person.decide_by_api(approval, verdict, **typed)
            assert (api.status, api.json["error"]["code"]) == (HTTPStatus.CONFLICT, "not_current"), what
            assert api.json["error"]["approval"]["digest"] == approval.digest
            assert_untouched(approval)
    assert person.decide_on_page(approval, "approve").status == HTTPStatus.OK


def test_a_form_of_the_version_before_a_modification_changes_nothing(cast, person_at):
    approval = make_approval(cast.support, requirements={"count": 2})
    editor, late = person_at(WEBS[0], cast.reviewer), person_at(WEBS[1], cast.second)
    args = {"order_id": "A-1", "amount": 50}
    assert editor.decide_by_api(approval, "modify", args=args).status == HTTPStatus.OK
    answer = late.decide_by_api(approval, "approve")
    assert (answer.status, answer.json["error"]["code"]) == (HTTPStatus.CONFLICT, "not_current")
    current = Approval.objects.get(pk=approval.pk)
    assert answer.json["error"]["approval"]["version"] == current.version == approval.version + 1
    assert not Decision.objects.filter(approval=approval).exists()
    assert late.decide_by_api(current, "approve").json["status"] == "decided"
    assert Decision.objects.get(approval=approval).args == args


@pytest.mark.parametrize("door", ["", "card/", "panel/"])
def test_another_team_finds_no_page(cast, person_at, door):
    approval = make_approval(cast.support)
    own, stranger = person_at(WEBS[0], cast.reviewer), person_at(WEBS[1], cast.stranger)
    assert own.get(f"/approvals/{approval.pk}/{door}").status == HTTPStatus.OK
    found = stranger.get(f"/approvals/{approval.pk}/{door}")
    assert found.status == HTTPStatus.NOT_FOUND
    assert str(approval.pk) not in found.text.replace(f"/approvals/{approval.pk}/{door}", "")


def test_another_team_finds_nothing_by_lists_api_and_posts(cast, person_at):
    approval = make_approval(cast.support)
    stranger = person_at(WEBS[1], cast.stranger)
    for path in ("/", "/approvals/rows/", "/approvals/?status=done"):
        assert str(approval.pk) not in stranger.get(path).text
    assert stranger.get(f"/api/v1/approvals/{approval.pk}", by_token=True).status == HTTPStatus.NOT_FOUND
    assert stranger.get("/api/v1/approvals", by_token=True).json["items"] == []
    for decide in (stranger.decide_on_page, stranger.decide_by_api):
        assert decide(approval, "approve").status == HTTPStatus.NOT_FOUND
    assert_untouched(approval)


def test_another_team_hears_nothing_on_the_socket(cast, person_at):
    approval = make_approval(cast.support)
    own, stranger = person_at(WEBS[0], cast.reviewer), person_at(WEBS[1], cast.stranger)

    def change():
        requests.touch(approval.pk)
        push("run", approval.pk, 1)
        assert flush()

    async def listen():
        async with opened(own) as own_socket, opened(stranger) as stranger_socket:
            for socket in (own_socket, stranger_socket):
                await socket.send(json.dumps({"watch": [["approval", str(approval.pk)], ["inbox", "mine"]]}))
            await asyncio.sleep(QUIET)
            await asyncio.to_thread(change)
            return await frames(own_socket), await frames(stranger_socket)

    own_frames, strange_frames = asyncio.run(listen())
    assert {(frame["kind"], frame["id"]) for frame in own_frames} == {
        ("approval", str(approval.pk)),
        ("row", str(approval.pk)),
    }
    assert strange_frames == []


def opened(person):
    address = person.origin.replace("http", "ws", 1) + "/ws/live/"
    return connect(address, origin=person.origin, additional_headers={"Cookie": person.cookies})


async def frames(socket):
    """What comes until it is quiet, without heartbeats."""
    found = []
    try:
        while True:
            found.append(json.loads(await asyncio.wait_for(socket.recv(), QUIET)))
    except TimeoutError:
        return [frame for frame in found if frame["kind"] != "hb"]
