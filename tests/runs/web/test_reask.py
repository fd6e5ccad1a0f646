"""A run that an answer has poisoned: what its pages say, and the one click that asks anew."""

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from agentdesk.audit.record import Actor
from approvals.decisions import decide
from approvals.models import Approval, Decision
from approvals.requests import Ask, request_approval
from runs.models import Run
from runs.states import RunStatus
from tests.runs.web.conftest import make_run


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def poisoned(cast: Any) -> tuple[Run, Approval]:
    run = make_run(cast, status=RunStatus.FAILED)
    ask = Ask(
        source="runs", source_ref=str(run.pk), request_key=f"interrupt:{run.pk}:c1:{'a' * 32}:0", kind="interrupt",
        agent="support", team_id=cast.team.pk, action="interrupt:age", args={"question": "How old?"}, allowed=["respond"],
        payload="How old?", adapter="text", answer_schema={"type": "string"},
    )  # fmt: skip
    approval, _new = request_approval(ask, actor=Actor.desk())
    actor = Actor.of(cast.reviewer)
    decide(approval.pk, actor=actor, verdict="respond", digest=approval.digest, version=1, answer="forty")
    told = {"checkpoint": "c1", "nodes": ["age"], "approvals": [str(approval.pk)]}
    run.error = {"kind": "ValueError", "message": "invalid literal", "poisoned": told}
    run.save(update_fields=["error"])
    return run, approval


def test_the_pages_explain_it_and_an_operator_asks_again_by_one_click(cast: Any, poisoned: tuple[Run, Approval]) -> None:
    run, approval = poisoned
    page = signed_in(cast.operator).get(reverse("runs:detail", args=[run.pk])).content.decode()
    assert "The thread keeps the answer" in page
    assert "Ask again" in page
    card = signed_in(cast.reviewer).get(reverse("approvals:detail", args=[approval.pk])).content.decode()
    assert "on an answer that its thread keeps" in card

    assert signed_in(cast.operator).post(reverse("runs:reask", args=[run.pk])).status_code == 302
    run.refresh_from_db()
    approval.refresh_from_db()
    assert (run.status, run.renew_at, run.error) == (RunStatus.QUEUED, "c1", None)
    assert (approval.status, Decision.objects.get(approval=approval).voided_at is not None) == ("superseded", True)
    assert signed_in(cast.operator).post(reverse("runs:reask", args=[run.pk])).status_code == 409


def test_a_reviewer_reads_why_and_a_stranger_nothing(cast: Any, poisoned: tuple[Run, Approval]) -> None:
    run, _approval = poisoned
    address = reverse("runs:reask", args=[run.pk])
    assert "Ask again</button>" not in signed_in(cast.reviewer).get(reverse("runs:panel", args=[run.pk])).content.decode()
    assert signed_in(cast.reviewer).post(address).status_code == 403
    assert signed_in(cast.stranger).post(address).status_code == 404
    assert signed_in(cast.operator).get(address).status_code == 405
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED


def test_the_shell_asks_the_run_again_where_the_answer_poisoned_it(
    cast: Any, poisoned: tuple[Run, Approval], capsys: pytest.CaptureFixture[str]
) -> None:
    run, approval = poisoned
    call_command("approvals", "reask", str(approval.pk), "--as", cast.operator.username)
    run.refresh_from_db()
    approval.refresh_from_db()
    assert (run.status, approval.status) == (RunStatus.QUEUED, "superseded")
    assert str(approval.pk) in capsys.readouterr().out
