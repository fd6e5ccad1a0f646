"""Who gets in, what a refusal looks like, and the description that other programs read."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.people.models import Token, User
from agentdesk.people.tokens import create_token, revoke_token
from runs import lifecycle
from tests.cast import Api, Cast, make_approval

ADDRESSES = ["runs", "approvals", "runs/{id}", "runs/{id}/steps", "runs/{id}/checkpoints", "approvals/{id}"]
VERBS = ["cancel", "continue", "fork", "input"]
POSTS = ["runs", *(f"runs/{{id}}/{verb}" for verb in VERBS), "approvals", "approvals/{id}/decision"]
NOBODY = "018f0000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("token", [None, "", "ad_wrong", "wrong", "ad_" + "x" * 500, "ad_\u00fc"])
@pytest.mark.parametrize("path", ADDRESSES)
def test_it_answers_nobody_without_a_valid_token(cast: Cast, path: str, token: str | None):
    response = Api(token).get(path.format(id=NOBODY))
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "not_authenticated"


@pytest.mark.parametrize("path", POSTS)
def test_it_takes_no_session_for_a_token(cast: Cast, path: str):
    # A cookie would let any site that the browser visits act in the user's name.
    client = Client()
    client.force_login(cast.reviewer)
    response = client.post(f"/api/v1/{path.format(id=NOBODY)}", {}, content_type="application/json")
    assert response.status_code == 401


def test_it_forgets_revoked_and_old_tokens_and_people_who_are_switched_off(cast: Cast):
    actor = Actor.of(cast.reviewer)
    revoked, revoked_text = create_token(cast.reviewer, "revoked", actor=actor)
    revoke_token(revoked, actor=actor)
    old, old_text = create_token(cast.reviewer, "old", actor=actor, expires_at=timezone.now() + timedelta(hours=1))
    assert Api(old_text).get("runs").status_code == 200
    Token.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    gone = Api.of(cast.second)
    User.objects.filter(pk=cast.second.pk).update(is_active=False)
    for api in (Api(revoked_text), Api(old_text), gone):
        assert api.get("runs").status_code == 401


def test_it_says_not_found_for_ids_that_are_none(cast: Cast):
    api = Api.of(cast.reviewer)
    for path in ("runs/nonsense", "approvals/nonsense", f"runs/{NOBODY}", f"approvals/{NOBODY}", f"runs/{NOBODY}/steps"):
        response = api.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found"), path
    assert api.post(f"runs/{NOBODY}/cancel").status_code == 404
    body = {"verdict": "approve", "digest": "x", "version": 1}
    assert api.post(f"approvals/{NOBODY}/decision", body).status_code == 404


@pytest.mark.parametrize("body", ["", "{", "[1]", "null", '"text"', b"\xff\xfe", "[" * 5000])
@pytest.mark.parametrize("path", ["runs", "approvals"])
def test_it_refuses_bodies_that_it_cannot_read(cast: Cast, path: str, body: str | bytes):
    response = Api.of(cast.operator).post(path, body)
    assert response.status_code in (400, 422)
    assert response.json()["error"]["message"]


def test_it_refuses_a_body_beyond_the_desks_limit(cast: Cast, settings):
    body = json.dumps({"agent": "support", "input": "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE})
    response = Api.of(cast.operator).post("runs", body)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")


def test_it_names_the_fields_that_are_wrong(cast: Cast):
    errors = Api.of(cast.operator).post("runs", {"agent": 7, "more": 1}).json()["error"]["errors"]
    assert set(errors) == {"agent", "input", "more"}


@pytest.mark.parametrize("query", [{"cursor": "x"}, {"limit": 0}, {"limit": 10_000}, {"status": "new"}, {"agent": "a\0b"}])
@pytest.mark.parametrize("path", ["runs", "approvals"])
def test_it_refuses_queries_that_mean_nothing(cast: Cast, path: str, query: dict[str, object]):
    response = Api.of(cast.operator).get(path, **query)
    assert response.status_code == 422
    assert list(response.json()["error"]["errors"]) == list(query)


def test_it_lets_no_cache_keep_an_answer(cast: Cast):
    approval = make_approval(cast.support)
    for path in ("approvals", f"approvals/{approval.pk}", "approvals/nonsense"):
        assert Api.of(cast.reviewer).get(path)["Cache-Control"] == "no-store"


def test_it_describes_itself(db: None):
    description = Client().get("/api/v1/openapi.json").json()
    paths = {path.removeprefix("/api/v1") for path in description["paths"]}
    assert paths == {
        "/runs", "/runs/{run_id}", "/runs/{run_id}/steps", "/runs/{run_id}/cancel",
        "/runs/{run_id}/checkpoints", "/runs/{run_id}/continue", "/runs/{run_id}/fork", "/runs/{run_id}/input",
        "/runs/{run_id}/reask",
        "/approvals", "/approvals/{approval_id}", "/approvals/{approval_id}/decision", "/approvals/{approval_id}/recall",
    }  # fmt: skip
    assert description["components"]["securitySchemes"]["Bearer"]["scheme"] == "bearer"


def test_it_says_that_it_failed_and_tells_nobody_why(cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog):
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("the secret reason")

    monkeypatch.setattr(lifecycle, "start", fail)
    response = Api.of(cast.operator).post("runs", {"agent": "support", "input": {}})
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal")
    assert "secret" not in response.content.decode()
    assert "the secret reason" in caplog.text
