"""Whatever is sent, the API answers with JSON and never fails itself."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals.models import Decision
from runs.models import Run
from tests.cast import Api, Cast, make_approval

TEXTS = st.text(st.characters(), max_size=20)  # surrogates and NUL too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
QUERIES = st.dictionaries(
    st.sampled_from(["status", "agent", "source", "source_ref", "cursor", "limit", "x"]),
    st.text(st.characters(codec="utf-8"), max_size=30),
)
BODIES = {
    "runs": {"agent": VALUES | st.just("support"), "input": VALUES, "dry_run": VALUES},
    "approvals": {
        "agent": VALUES | st.just("courier"), "action": VALUES | st.just("send"), "args": VALUES, "args_schema": VALUES,
        "team": VALUES, "request_key": VALUES, "source_ref": VALUES, "reason": VALUES, "subject": VALUES, "risk": VALUES,
        "allowed": VALUES, "answer_schema": VALUES,
    },
    "approvals/{id}/decision": {
        "verdict": VALUES | st.sampled_from(["approve", "modify", "reject", "respond"]), "digest": VALUES, "version": VALUES,
        "args": VALUES, "answer": VALUES, "message": VALUES,
    },
}  # fmt: skip


@pytest.mark.parametrize("path", BODIES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_body_breaks_it(cast: Cast, path: str, data: st.DataObject):
    fields = BODIES[path]
    names = data.draw(st.sets(st.sampled_from(sorted(fields))))
    body: dict[str, Any] = {name: data.draw(fields[name], label=name) for name in sorted(names)}
    approval = make_approval(cast.support)
    if path.endswith("decision"):
        body = {"digest": approval.digest, "version": 1, "verdict": "respond"} | body
    caller = cast.program if path == "approvals" else cast.reviewer
    response = Api.of(caller).post(path.format(id=approval.pk), body)
    assert response.status_code in {200, 201, 403, 404, 409, 413, 422}, response.content
    if response.status_code >= 400:
        assert response.json()["error"]["code"]
    else:
        assert_readable(cast)


def assert_readable(cast: Cast) -> None:
    """What was let in can be read again, whole and in a list."""
    api = Api.of(cast.operator)
    for run in Run.objects.all():
        assert api.get(f"runs/{run.pk}").status_code == 200
    for decision in Decision.objects.all():
        assert api.get(f"approvals/{decision.approval_id}").status_code == 200
    for path in ("runs", "approvals"):
        assert api.get(path).status_code == 200


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERIES)
def test_no_query_breaks_it(cast: Cast, query: dict[str, str]):
    for path in ("runs", "approvals"):
        assert Api.of(cast.reviewer).get(path, **query).status_code in {200, 422}
