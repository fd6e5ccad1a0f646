"""``manage.py approvals``: read and decide what waits for people, from a shell."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from agentdesk.management.verbs import Refused, VerbCommand, actor, add_as, add_limit, json_of, person
from approvals import decisions, requests
from approvals.api import ApprovalOut
from approvals.models import Approval
from approvals.states import PEOPLES_VERDICTS, Status
from approvals.votes import UNSET
from runs import lifecycle
from runs.models import Run

COLUMNS = ("id", "status", "risk", "agent", "action", "args", "requested_at")


class Command(VerbCommand):
    help = "List, show and decide approvals."

    def add_verbs(self) -> None:
        listed = self.verb("list", self.list, "List approvals, newest first.")
        listed.add_argument("--status", choices=Status.values, help="Without it: pending ones.")
        listed.add_argument("--all", action="store_true", help="Whatever their status.")
        listed.add_argument("--source-ref", metavar="RUN", help="Only those of this run.")
        add_limit(listed)
        add_as(listed)
        shown = self.verb("show", self.show_approval, "Show one approval.")
        shown.add_argument("id", metavar="ID")
        add_as(shown)
        self._add_decide()
        recall = self.verb("recall", self.recall, "Take a decision back while it is held.")
        recall.add_argument("id", metavar="ID")
        add_as(recall, required=True)
        again = self.verb("reask", self.reask, "Ask again: the decision so far, or its lack, does not count.")
        again.add_argument("id", metavar="ID")
        again.add_argument("--because", default="Asked again from the command line.", metavar="TEXT")
        add_as(again)

    def _add_decide(self) -> None:
        decide = self.verb("decide", self.decide, "Decide as a person who may.")
        decide.add_argument("id", metavar="ID")
        decide.add_argument("--verdict", required=True, choices=[str(verdict) for verdict in PEOPLES_VERDICTS])
        decide.add_argument("--args", dest="new_args", metavar="JSON|@FILE", help="With modify: the whole new arguments.")
        decide.add_argument("--answer", metavar="JSON|@FILE", help="With respond.")
        decide.add_argument("--message", default="", metavar="TEXT", help="Read by the agent.")
        decide.add_argument("--digest", metavar="D", help="Refuse unless this is what is being asked now.")
        add_as(decide, required=True)

    def list(self, *, status: str | None, source_ref: str | None, limit: int, **options: Any) -> None:
        approvals = _visible(options["username"]).order_by("-pk")
        if not options["all"]:
            approvals = approvals.filter(status=status or Status.PENDING)
        if source_ref:
            approvals = approvals.filter(source_ref=source_ref)
        facts = [ApprovalOut.of(approval).model_dump() for approval in approvals[:limit]]
        self.show_list(facts, COLUMNS, as_json=options["json"])

    def show_approval(self, *, id: str, **options: Any) -> None:
        self._show(_approval(id, options["username"]), options)

    def decide(self, *, id: str, verdict: str, digest: str | None, message: str, **options: Any) -> None:
        approval = _approval(id, options["username"])
        outcome = decisions.decide(
            approval.pk, actor=actor(options["username"]), verdict=verdict, digest=digest or approval.digest,
            version=approval.version, args=json_of(options["new_args"], "--args"), message=message,
            answer=UNSET if options["answer"] is None else json_of(options["answer"], "--answer"),
        )  # fmt: skip
        facts = {
            "approval": outcome.approval.pk, "status": outcome.approval.status,
            "have": outcome.have, "need": outcome.need,
        }  # fmt: skip
        self.show(facts, as_json=options["json"])

    def recall(self, *, id: str, **options: Any) -> None:
        decisions.recall(_approval(id, options["username"]).pk, actor=actor(options["username"]))
        self._show(_approval(id, options["username"]), options)

    def reask(self, *, id: str, because: str, **options: Any) -> None:
        approval = _approval(id, options["username"])
        if not _is_poisoning(approval):
            requests.reopen(approval.pk, because, actor(options["username"]))
        else:  # the thread keeps the answer, so that another decision would never reach it
            lifecycle.reask(UUID(approval.source_ref), actor=actor(options["username"]))
        self._show(_approval(id, options["username"]), options)

    def _show(self, approval: Approval, options: dict[str, Any]) -> None:
        self.show(ApprovalOut.of(approval).model_dump(), as_json=options["json"])


def _visible(username: str | None) -> "QuerySet[Approval]":
    """What the user of ``--as`` may see; all approvals for whoever has a shell here."""
    approvals = Approval.objects.all() if username is None else Approval.objects.visible_to(person(username))
    return approvals.select_related("team").prefetch_related("decisions")


def _is_poisoning(approval: Approval) -> bool:
    """Whether the run behind the approval has failed on the answer to it, which its thread has stored."""
    if approval.source != lifecycle.SOURCE:
        return False
    try:
        run = Run.objects.filter(pk=UUID(approval.source_ref)).only("error").first()
    except ValueError:
        return False
    told = ((run.error if run else None) or {}).get("poisoned") or {}
    return str(approval.pk) in told.get("approvals", [])


def _approval(text: str, username: str | None) -> Approval:
    try:
        approval = _visible(username).filter(pk=UUID(text)).first()
    except ValueError:
        approval = None
    if approval is None:
        raise Refused(f"There is no approval {text!r}.")
    return approval
