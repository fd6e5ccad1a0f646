"""Reading and deciding approvals over the API."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.digests import encode
from approvals import decisions, requests
from approvals.models import Approval, Decision
from tests.cast import Api, Cast, make_approval


def decision(approval: Approval, verdict: str = "approve", **facts: Any) -> dict[str, Any]:
    return {"verdict": verdict, "digest": approval.digest, "version": approval.version, **facts}


def test_it_shows_an_approval_whole(cast: Cast):
    approval = make_approval(cast.support, reason="The parcel was lost.", args={"order_id": "A-1", "amount": 2**60})
    shown = Api.of(cast.reviewer).get(f"approvals/{approval.pk}").json()
    assert shown["id"] == str(approval.pk)
    assert shown["args"] == {"order_id": "A-1", "amount": 2**60}
    assert (shown["digest"], shown["version"]) == (approval.digest, 1)
    assert (shown["status"], shown["team"], shown["need"]) == ("pending", "support", 1)
    assert shown["allowed"] == ["approve", "modify", "reject", "respond"]
    assert shown["decision"] is None
    assert shown["url"].endswith(f"/approvals/{approval.pk}/")


@pytest.mark.parametrize("value", ["a\0b", "\ud800", float("nan"), {"$": "int"}, {"\0": 1}])
def test_it_shows_what_json_can_hardly_hold(cast: Cast, value: Any):
    approval = make_approval(cast.support)
    Approval.objects.filter(pk=approval.pk).update(args=encode({"value": value}))
    shown = Api.of(cast.reviewer).get(f"approvals/{approval.pk}").json()["args"]["value"]
    assert shown == ("nan" if value != value else value)


def test_it_lists_newest_first_page_by_page(cast: Cast):
    made = [str(make_approval(cast.support).pk) for _number in range(5)]
    api = Api.of(cast.reviewer)
    first = api.get("approvals", limit=2).json()
    second = api.get("approvals", limit=2, cursor=first["next"]).json()
    make_approval(cast.support)
    third = api.get("approvals", limit=2, cursor=second["next"]).json()
    assert [item["id"] for page in (first, second, third) for item in page["items"]] == made[::-1]
    assert third["next"] is None


def test_it_filters(cast: Cast):
    mine = make_approval(cast.support, source_ref="run-1")
    make_approval(cast.support, source_ref="run-2")
    done = make_approval(cast.support, source_ref="run-1")
    requests.withdraw(done.pk, Actor.desk())
    items = Api.of(cast.reviewer).get("approvals", status="pending", source_ref="run-1").json()["items"]
    assert [item["id"] for item in items] == [str(mine.pk)]


def test_it_asks_the_database_as_often_for_many_as_for_one(cast: Cast):
    api = Api.of(cast.reviewer)
    make_approval(cast.support)
    api.get("approvals")
    with CaptureQueriesContext(
        connection,
    ) as one:
        api.get("approvals")
    for _number in range(6):
        decided = make_approval(cast.support)
        decisions.decide(decided.pk, actor=Actor.of(cast.reviewer), **decision(decided))
    with CaptureQueriesContext(connection) as many:
        assert len(api.get("approvals").json()["items"]) == 7
    assert len(many) == len(one) <= 5


def test_another_team_finds_nothing(cast: Cast):
    approval = make_approval(cast.support)
    api = Api.of(cast.stranger)
    assert api.get("approvals").json() == {"items": [], "next": None}
    assert api.get(f"approvals/{approval.pk}").status_code == 404
    assert api.post(f"approvals/{approval.pk}/decision", decision(approval)).status_code == 404
    assert Decision.objects.count() == 0


def test_a_person_decides_with_a_personal_token(cast: Cast):
    approval = make_approval(cast.support)
    response = Api.of(cast.reviewer).post(f"approvals/{approval.pk}/decision", decision(approval, message="Fine."))
    assert response.status_code == 200
    assert response.json() == {"approval": str(approval.pk), "status": "decided", "have": 1, "need": 1}
    shown = Api.of(cast.operator).get(f"approvals/{approval.pk}").json()["decision"]
    assert (shown["verdict"], shown["decided_by"], shown["message"], shown["via"]) == ("approve", "Reviewer", "Fine.", "api")
    entry = AuditEntry.objects.get(action="approval.decided")
    assert (entry.actor_id, entry.via) == (cast.reviewer.pk, "api")


def test_the_same_post_again_gets_the_standing_decision(cast: Cast):
    approval = make_approval(cast.support)
    api = Api.of(cast.reviewer)
    first = api.post(f"approvals/{approval.pk}/decision", decision(approval))
    assert api.post(f"approvals/{approval.pk}/decision", decision(approval)).json() == first.json()
    assert Decision.objects.count() == 1


def test_the_second_to_decide_is_told_who_was_first(cast: Cast):
    approval = make_approval(cast.support)
    Api.of(cast.reviewer).post(f"approvals/{approval.pk}/decision", decision(approval))
    response = Api.of(cast.second).post(f"approvals/{approval.pk}/decision", decision(approval, "reject"))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (409, "already_decided")
    assert (error["decision"]["verdict"], error["decision"]["decided_by"]) == ("approve", "Reviewer")
    assert error["decision"]["decided_at"]
    assert error["approval"]["status"] == "decided"


@pytest.mark.parametrize("stale", [{"digest": "sha256:0"}, {"version": 2}])
def test_it_refuses_what_is_not_current_and_shows_what_is(cast: Cast, stale: dict[str, Any]):
    approval = make_approval(cast.support)
    response = Api.of(cast.reviewer).post(f"approvals/{approval.pk}/decision", decision(approval) | stale)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (409, "not_current")
    assert (error["approval"]["digest"], error["approval"]["version"]) == (approval.digest, 1)
    assert Decision.objects.count() == 0


def test_it_modifies(cast: Cast):
    approval = make_approval(cast.support)
    args = {"order_id": "A-1", "amount": 50}
    response = Api.of(cast.reviewer).post(f"approvals/{approval.pk}/decision", decision(approval, "modify", args=args))
    assert response.status_code == 200
    shown = Api.of(cast.reviewer).get(f"approvals/{approval.pk}").json()
    assert (shown["decision"]["verdict"], shown["decision"]["args"]) == ("modify", args)
    assert shown["asked_args"] == {"order_id": "A-1", "amount": 80}


def test_it_names_the_argument_that_is_wrong(cast: Cast):
    approval = make_approval(cast.support)
    body = decision(approval, "modify", args={"order_id": "A-1", "amount": -1})
    response = Api.of(cast.reviewer).post(f"approvals/{approval.pk}/decision", body)
    assert (response.status_code, list(response.json()["error"]["errors"])) == (422, ["amount"])


def test_it_answers_with_null_when_null_was_said_and_not_when_nothing_was(cast: Cast):
    api = Api.of(cast.reviewer)
    approval = make_approval(cast.support)
    assert api.post(f"approvals/{approval.pk}/decision", decision(approval, "respond")).status_code == 422
    assert api.post(f"approvals/{approval.pk}/decision", decision(approval, "respond", answer=None)).status_code == 200
    assert api.get(f"approvals/{approval.pk}").json()["decision"]["answer"] is None


@pytest.mark.parametrize("who", ["operator", "admin", "program"])
def test_only_reviewers_who_are_people_decide(cast: Cast, who: str):
    approval = make_approval(cast.support)
    response = Api.of(getattr(cast, who)).post(f"approvals/{approval.pk}/decision", decision(approval))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "not_allowed")
    assert Decision.objects.count() == 0


def test_it_counts_votes(cast: Cast):
    approval = make_approval(cast.support, requirements={"count": 2})
    first = Api.of(cast.reviewer).post(f"approvals/{approval.pk}/decision", decision(approval)).json()
    assert (first["status"], first["have"], first["need"]) == ("pending", 1, 2)
    second = Api.of(cast.second).post(f"approvals/{approval.pk}/decision", decision(approval)).json()
    assert (second["status"], second["have"], second["need"]) == ("decided", 2, 2)


@pytest.mark.parametrize("body", [{"verdict": "expire"}, {"version": 0}, {"digest": "x" * 100}, {"message": "a\0"}, {"x": 1}])
def test_it_refuses_a_decision_that_is_none(cast: Cast, body: dict[str, Any]):
    approval = make_approval(cast.support)
    response = Api.of(cast.reviewer).post(f"approvals/{approval.pk}/decision", decision(approval) | body)
    assert response.status_code == 422
    assert list(response.json()["error"]["errors"]) == list(body)


def test_while_a_decision_is_held_it_shows_none_and_takes_it_back_once(cast: Cast, settings: Any):
    settings.HOLD_SECONDS = {"medium": "10"}
    approval = make_approval(cast.support)
    api = Api.of(cast.reviewer)
    assert api.post(f"approvals/{approval.pk}/decision", decision(approval)).json()["status"] == "held"
    shown = api.get(f"approvals/{approval.pk}").json()
    assert (shown["status"], shown["decision"]) == ("held", None)
    assert shown["release_at"]
    again = api.post(f"approvals/{approval.pk}/recall", {}).json()
    assert (again["status"], again["version"], again["release_at"]) == ("pending", 2, None)
    assert api.post(f"approvals/{approval.pk}/recall", {}).json()["error"]["code"] == "released"


def test_only_those_who_may_decide_take_a_held_decision_back(cast: Cast, settings: Any):
    settings.HOLD_SECONDS = {"medium": "10"}
    approval = make_approval(cast.support)
    decisions.decide(approval.pk, actor=Actor.of(cast.reviewer, "web"), **decision(approval))
    assert Api.of(cast.operator).post(f"approvals/{approval.pk}/recall", {}).status_code == 403
    assert Approval.objects.get(pk=approval.pk).status == "held"
