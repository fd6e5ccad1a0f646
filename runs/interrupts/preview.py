"""The exact JSON that a run will receive, before anybody has decided."""

from dataclasses import replace
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.digests import decode, encode
from approvals.models import Approval, Decision
from approvals.sources import NotYet
from approvals.states import Status, Verdict
from runs.interrupts.adapters import ADAPTERS, named
from runs.interrupts.base import Payload, SeveralAtOnce


def is_known(approval: Approval) -> bool:
    """Whether this release has the adapter that asked."""
    return any(adapter.name == approval.adapter for adapter in ADAPTERS)


def preview(approval: Approval, decision: Decision) -> Any:
    """The answer of the adapter that asked, to the whole payload and by the schema it was asked with: ``decision`` at its
    place, what others decided at theirs, and :class:`NotYet` for each question that is still open."""
    adapter = named(approval.adapter)
    interrupt, number = _place(approval)
    node = approval.action.removeprefix("interrupt:")
    asked_with = decode(approval.response_schema)
    payload = Payload(interrupt, decode(approval.payload), node, asked_with, approval.answer_schema)
    if not isinstance(adapter, SeveralAtOnce):
        return encode(adapter.answer(payload, [decision]))
    payload = replace(payload, value=decode(_of_one_interrupt(approval).latest("requested_at").payload))
    questions = adapter.questions(payload)
    known = {**_others(approval), number: decision}
    decisions = [known.get(n) or Decision(verdict=Verdict.REJECT, args={}) for n in range(len(questions))]
    answer = encode(adapter.answer(payload, decisions))
    for n, question in enumerate(questions):
        if n not in known:
            adapter.parts(answer)[n] = NotYet(_("not decided yet: %(action)s") % {"action": question.action})
    return answer


def _place(approval: Approval) -> tuple[str, int]:
    """The interrupt that asked, and which of its questions this is: ``interrupt:<run>:<checkpoint>:<interrupt>:<number>``;
    one that was asked in another's place has a further part."""
    parts = approval.request_key.split(":")
    return (parts[3], int(parts[4])) if len(parts) > 4 and parts[4].isdigit() else ("", 0)


def _others(approval: Approval) -> dict[int, Decision]:
    """What stands decided about the other questions of the same interrupt, by their place."""
    released = Q(release_at__isnull=True) | Q(release_at__lte=timezone.now())
    others = _of_one_interrupt(approval).exclude(pk=approval.pk)
    found = Decision.objects.filter(released, approval__in=others, voided_at__isnull=True).select_related("approval")
    return {_place(decision.approval)[1]: decision for decision in found}


def _of_one_interrupt(approval: Approval) -> QuerySet[Approval]:
    """This approval and those of the other questions. Where a node ran again and asked anew, the newest
    has what it asks now."""
    group = ":".join(approval.request_key.split(":")[:4])
    others = Approval.objects.filter(request_key__startswith=f"{group}:", source_ref=approval.source_ref)
    return others.exclude(~Q(pk=approval.pk), status__in=(Status.SUPERSEDED, Status.WITHDRAWN))
