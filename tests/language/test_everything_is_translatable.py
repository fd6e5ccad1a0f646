"""Every page in a language whose texts are all in wide letters, over data without one Latin letter: what is in narrow letters
is English that no translator would ever get to see."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from agentdesk.audit.record import Actor
from agentdesk.digests import action_digest, encode
from agentdesk.ids import new_id
from agentdesk.people.models import Membership, Role, Team, User
from approvals import comments, decisions, triage
from approvals.models import Approval, Decision, Evaluation, Halt, StandingApproval, Tool
from approvals.requests import Ask, request_approval
from approvals.states import Status, Verdict
from runs.models import Agent, Run, Step, ToolCall
from runs.states import CallStatus, RunStatus, StepKind, StepStatus
from tests.language.seen import untranslated

ACTION, ARGS = "επιστροφή", {"ποσό": "240.00", "πελάτης": "Ωμέγα"}
SCHEMA = {
    "type": "object", "required": ["ποσό"],
    "properties": {"ποσό": {"type": "string", "pattern": r"^\d+\.\d{2}$"}, "πελάτης": {"type": "string"}},
}  # fmt: skip


class Cast:
    """A team with its people, its agent and all that its pages show, named in Greek and in digits."""

    def __init__(self):
        self.team = Team.objects.create(slug="1", name="Ομάδα", reject_reasons="Λόγος")
        self.person, self.other = (self._person(name) for name in ("άννα", "νίκος"))
        self.agent = Agent.objects.create(
            slug="7", name="Πράκτορας", team=self.team, description="Ναι.", loaded_at=timezone.now()
        )
        Tool.objects.create(
            agent="7", team=self.team, name=ACTION, description="Όχι.", risk="high", effect="write", schema=SCHEMA
        )
        self.run = self._run(RunStatus.WAITING)
        self.asked = {risk: self._ask(risk) for risk in ("low", "medium", "high", "critical")}
        self.doubt = self._ask("low", kind="in_doubt", allowed=["respond"])
        self.several = self._ask("low", requirements={"count": 2})
        self.pair = [self._ask("low") for _ in range(2)]
        self.done = self._decided()
        self._look_after(self.asked["high"], self.asked["medium"])
        self._steps()

    def _person(self, name):
        user = User.objects.create(username=name, first_name=name, language="de")
        roles = (Role.REVIEWER, Role.OPERATOR, Role.ADMIN)
        Membership.objects.bulk_create(Membership(user=user, team=self.team, role=role) for role in roles)
        return user

    def _run(self, status, **facts):
        given = {
            "title": "Θέμα",
            "input": {"messages": []},
            "requester_label": "άννα",
            "thread_id": str(new_id()),
            "attempt": 1,
        }
        return Run.objects.create(
            agent=self.agent, team=self.team, status=status, started_at=timezone.now(), **{**given, **facts}
        )

    def _ask(self, risk, **facts):
        condition = {"path": "ποσό", "op": ">", "value": 50, "actual": 240, "holds": True}
        rule = {"id": "1", "name": "Κανόνας", "verdict": "ask", "mode": "active", "matched": True, "note": "", "priority": 0}
        several = [condition, {**condition, "path": "@count.1h"}, {**condition, "path": "@egress", "op": "="}]
        evaluation = Evaluation.objects.create(
            source="runs", source_ref=str(self.run.pk), agent="7", action=ACTION, digest="0", verdict="ask",
            facts={"tool_known": False, "schema_changed": True}, rules=[{**rule, "conditions": several}],
        )  # fmt: skip
        given = {
            "source": "runs", "source_ref": str(self.run.pk), "request_key": str(new_id()), "kind": "tool_call", "agent": "7",
            "team_id": self.team.pk, "action": ACTION, "args": ARGS, "args_schema": SCHEMA, "effect": "write", "risk": risk,
            "allowed": ["approve", "modify", "reject", "respond", "ask"], "evaluation": evaluation, "reason": "Γιατί", **facts,
        }  # fmt: skip
        return request_approval(Ask(**given), actor=Actor.desk())[0]

    def _decided(self):
        approval = self._ask("low")
        sent = {"digest": approval.digest, "version": approval.version}
        decisions.decide(approval.pk, actor=Actor.of(self.person, "web"), verdict="reject", message="Όχι", **sent)
        StandingApproval.objects.create(
            team=self.team, agent="7", action=ACTION, args={"ποσό": "240.00"}, conditions=[], risk="low", owner=self.person,
            reason="Γιατί", expires_at=timezone.now() + timedelta(days=1), most_uses=3, made_from=approval,
        )  # fmt: skip
        for _ in range(3):
            earlier = self._ask("low")
            Approval.objects.filter(pk=earlier.pk).update(status=Status.DECIDED, closed_at=timezone.now())
            Decision.objects.create(
                approval=earlier, version=1, verdict=Verdict.APPROVE, args=encode(ARGS), digest=earlier.digest,
                decided_by=self.person, decided_by_label="άννα", via="web", decided_at=timezone.now() - timedelta(hours=1),
            )  # fmt: skip
        return approval

    def _look_after(self, claimed, snoozed):
        triage.claim(claimed.pk, actor=Actor.of(self.other, "web"), seen=0)
        triage.snooze(snoozed.pk, timezone.now() + timedelta(hours=1), actor=Actor.of(self.person, "web"))
        comments.comment(claimed.pk, "Σχόλιο", actor=Actor.of(self.person, "web"), key=new_id())

    def _steps(self):
        self.ended = self._run(
            RunStatus.STOPPED, stop_reason="limit:model_calls", finished_at=timezone.now(), scope={"πελάτης": "7"},
            tools=[ACTION], output={"messages": [{"content": "Τέλος"}]},
        )  # fmt: skip
        for status in CallStatus:
            call = self._call(status)
            self._step(StepKind.TOOL, call=str(call.pk), tool=ACTION, outcome=status.value)
        for verdict in Verdict:
            self._step(StepKind.DECISION, verdict=verdict.value, by="άννα", approval=str(self.done.pk))
        self._step(StepKind.MODEL, text="Ναι", input_tokens=1200, output_tokens=1)
        self._step(StepKind.MODEL, tool_calls=[{"name": ACTION, "args": ARGS}])
        self._step(StepKind.NODE)
        self._step(StepKind.PAUSE, approvals=[str(self.asked["low"].pk)])
        self._step(StepKind.LIMIT, limit="tokens", value=5)
        self._step(StepKind.ERROR, message="Λάθος")
        for kind in (StepKind.MODEL, StepKind.NODE, StepKind.PAUSE):
            self._step(kind, status=StepStatus.OPEN, approvals=[])
            self._step(kind, status=StepStatus.LOST, approvals=[])

    def _step(self, kind, status=StepStatus.DONE, **data):
        ended = None if status == StepStatus.OPEN else timezone.now()
        Step.objects.create(
            run=self.ended, key=new_id(), attempt=1, kind=kind, name="9", status=status, data=encode(data),
            started_at=timezone.now() - timedelta(seconds=2), ended_at=ended,
        )  # fmt: skip

    def _call(self, status):
        ran = status in (CallStatus.SUCCEEDED, CallStatus.EXECUTING, CallStatus.UNDONE)
        more = {"executed_args": encode(ARGS), "executed_digest": "0", "approved_digest": "0"} if ran else {}
        return ToolCall.objects.create(
            run=self.ended, message_id=str(new_id()), call_id="1", tool=ACTION, verdict="ask", asked_args=encode(ARGS),
            digest=action_digest("7", ACTION, "", ARGS), status=status, tries=1, started_at=timezone.now(), **more,
        )  # fmt: skip

    def pages(self):
        yield from ("/", "/?tab=mine", "/?tab=snoozed", "/?tab=done", '/?q="', "/?q=9876")
        for approval in (*self.asked.values(), self.doubt, self.several, self.done):
            yield f"/approvals/{approval.pk}/"
        yield f"/approvals/{self.asked['high'].pk}/preview/"
        yield "/approvals/batch/?" + "&".join(f"id={each.pk}" for each in (*self.pair, self.asked["high"]))
        yield f"/approvals/{self.done.pk}/standing/"
        yield from ("/approvals/standing/", "/profile/pace/", "/teams/1/")
        yield from ("/runs/", f"/runs/{self.run.pk}/", f"/runs/{self.ended.pk}/", f"/runs/{self.ended.pk}/checkpoints/")
        yield from ("/runs/start/?agent=7", "/runs/start/?agent=7&json=1", "/agents/", "/audit/", "/audit/?who=9876")
        yield from ("/profile/", "/profile/notifications/", "/nowhere/", "/accounts/logout/", "/accounts/reauthenticate/")


@pytest.fixture
def cast(db, settings):
    settings.HOLD_SECONDS = {}
    return Cast()


def check(client, pages, **options):
    """Fail with every text in narrow letters, and the first page that shows it."""
    found = {}
    for page in pages:
        answer = client.get(page, **options)
        assert answer.status_code in (200, 404), (page, answer.status_code)
        for text in untranslated(answer.content.decode()):
            found.setdefault(text, page)
    assert not found, "\n".join(["not translatable:", *(f"{page}: {text[:200]}" for text, page in found.items())])


def test_pages_show_no_text_that_translators_do_not_get(cast, wide_letters):
    client = Client()
    client.force_login(cast.person, backend="django.contrib.auth.backends.ModelBackend")
    check(client, cast.pages())


def test_pages_before_signing_in_show_no_text_that_translators_do_not_get(db, wide_letters):
    pages = ("/accounts/login/", "/accounts/password/reset/", "/nowhere/")
    check(Client(), pages, headers={"Accept-Language": "de"})


def test_admin_shows_no_text_that_translators_do_not_get(cast, wide_letters):
    Halt.objects.create(began_by_label="άννα", because="Γιατί")
    User.objects.filter(pk=cast.person.pk).update(is_superuser=True)
    client = Client()
    client.force_login(cast.person, backend="django.contrib.auth.backends.ModelBackend")
    models = (
        "approvals/rule",
        "approvals/tool",
        "approvals/standingapproval",
        "runs/agent",
        "people/user",
        "notices/subscription",
    )
    pages = ["/admin/", *(f"/admin/{model}/{act}" for model in models for act in ("", "add/"))]
    read = ("approvals/approval", "approvals/decision", "approvals/evaluation", "approvals/review", "approvals/policyversion")
    read += (
        "runs/run",
        "runs/toolcall",
        "runs/step",
        "people/token",
        "notices/delivery",
        "approvals/halt",
        "approvals/rehearsal",
    )
    pages += [f"/admin/{model}/" for model in read]
    pages += [
        "/admin/approvals/rule/try/",
        "/admin/runs/modelprice/add/",
        "/admin/runs/pinnedanswer/add/",
        "/admin/people/team/add/",
    ]
    pages += ["/admin/approvals/halt/switch/", "/admin/approvals/rehearsal/switch/"]
    pages.remove("/admin/approvals/tool/add/")
    pages.remove("/admin/runs/agent/add/")
    pages.append(f"/admin/runs/agent/{cast.agent.pk}/change/")
    check(client, pages)
