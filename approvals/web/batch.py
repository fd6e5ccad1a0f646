"""Many alike, looked at together: each is decided by itself, by the same verb and with an entry of its own."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from agentdesk import digests
from agentdesk.audit.record import Actor
from agentdesk.people.models import User
from approvals import decisions
from approvals.errors import ApprovalError
from approvals.models import Approval
from approvals.states import Verdict
from approvals.web import batching, display, queue, sampling
from approvals.web.fragments import for_display
from approvals.web.signed_in import signed_in

SEEN = "approvals.batch"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one approval of the batch."""

    sentence: str
    approval_id: UUID
    text: str
    is_done: bool


@signed_in
@require_http_methods(["GET", "POST"])
def batch(request: HttpRequest) -> HttpResponse:
    """GET: the arguments of the selected side by side. POST: approve those that were left ticked, as they were shown."""
    if not isinstance(request.user, User):
        raise Http404
    is_post = request.method == "POST"
    asked = list(dict.fromkeys(request.POST.getlist("item") if is_post else request.GET.getlist("id")))
    too_many = len(asked) > batching.MOST
    is_unread = is_post and not sampling.were_read(request.POST.get("read", ""), request.user, _shown(asked))
    results = _decide(request, request.user, asked) if is_post and not too_many and not is_unread else []
    approvals = [] if is_post else _selected(request.user, asked)
    refused = batching.why_not_together(approvals)
    left = [approval for approval in approvals if approval not in [each for each, _reason in refused]]
    table = batching.matrix(left) if left and not too_many else None
    wanted = [(each.pk, each.version) for each in left]
    to_read = table is not None and not sampling.were_read(request.GET.get("read", ""), request.user, wanted)
    context = {
        "results": results,
        "done": sum(result.is_done for result in results),
        "unshown": len(asked) - len(results) if is_post and not too_many and not is_unread else 0,
        "is_unread": is_unread and not too_many,
        "samples": [_whole(line) for line in sampling.samples_of(table.lines)] if table and to_read else [],
        "read": sampling.receipt(request.user, left) if table else "",
        "ids": [each.pk for each in left],
        "matrix": table,
        "items": [(line, _seen(line)) for line in table.lines] if table else [],
        "refused": [(display.sentence(approval), reason) for approval, reason in refused],
        "too_many": too_many,
        "most": batching.MOST,
        "inbox_count": queue.count_waiting(queue.Reader(request.user)),
    }
    return render(request, "approvals/batch.html", context)


def _shown(tokens: list[str]) -> set[tuple[str, int]]:
    """Which approvals, in which versions, the posted fields are of. Forged ones are of none."""
    found = set()
    for token in tokens:
        try:
            key, version, *_rest = signing.loads(token, salt=SEEN)
        except (signing.BadSignature, ValueError, TypeError):
            continue
        found.add((str(key), int(version)))
    return found


def _whole(line: batching.Line) -> dict[str, Any]:
    """One approval of the batch as it is read by itself: every argument with its source, and why the agent wants it."""
    return {"line": line, "approval": line.approval, "arguments": display.arguments(line.approval)}


def _selected(user: User, ids: list[str]) -> list[Approval]:
    """The approvals of these ids that the user sees, in the order of the ids."""
    keys = []
    for text in dict.fromkeys(ids):
        try:
            keys.append(UUID(text))
        except ValueError:
            continue
    found = {each.pk: each for each in for_display(Approval.objects.visible_to(user).filter(pk__in=keys[: batching.MOST]))}
    return [found[key] for key in keys if key in found]


def _seen(line: batching.Line) -> str:
    """The field of one approval: what it was when it was shown, and what was shown."""
    shown = digests.digest([line.sentence, *[[cell.text, cell.unusual] for cell in line.cells]])
    approval = line.approval
    facts = [str(approval.pk), approval.version, approval.digest, shown, timezone.now().timestamp()]
    return signing.dumps(facts, salt=SEEN)


def _decide(request: HttpRequest, user: User, tokens: list[str]) -> list[Result]:
    """Approve each ticked one that still is what was shown. One that is not harms none of the others."""
    actor = Actor.from_request(request)
    results = []
    kinds: set[str] = set()
    for token in tokens:
        try:
            key, version, digest, shown, opened_at = signing.loads(token, salt=SEEN)
        except (signing.BadSignature, ValueError, TypeError):
            continue
        approval = Approval.objects.visible_to(user).filter(pk=key).first()
        if approval is not None:
            results.append(_decide_one(approval, actor, kinds, version, digest, shown, opened_at))
    return results


def _decide_one(approval: Approval, actor: Actor, kinds: set[str], version: int, digest: str, shown: str, at: float) -> Result:
    said: dict[str, Any] = {"sentence": display.sentence(approval), "approval_id": approval.pk}
    if (approval.version, approval.digest) == (version, digest) and approval.is_pending:
        kinds.add(batching.kind_of(approval))
        if not batching.may_batch(approval) or len(kinds) > 1:
            return Result(**said, text=_("It cannot be decided together with the others: open it by itself."), is_done=False)
    try:
        decisions.decide(
            approval.pk, actor=actor, verdict=Verdict.APPROVE, version=version, digest=digest, view_digest=shown,
            seconds_open=max(0.0, timezone.now().timestamp() - at),
        )  # fmt: skip
    except ApprovalError as error:
        return Result(**said, text=str(error), is_done=False)
    return Result(**said, text=_("Approved"), is_done=True)
