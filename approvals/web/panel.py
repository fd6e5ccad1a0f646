"""The viewer's part of the decision page: forms, and why there are none. It comes over HTTP only and is never pushed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core import signing
from django.forms import BoundField
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from agentdesk import digests, masking
from agentdesk.digests import decode
from agentdesk.ids import new_id
from agentdesk.people.absence import away
from agentdesk.people.models import User
from agentdesk.people.proofs import may_prove, proof_of
from approvals import access, answers, regrets, stopping
from approvals import standing as in_advance
from approvals.models import Approval, StandingUse
from approvals.states import Kind, Risk, Status, Verdict
from approvals.votes import proof_needed
from approvals.web import display, friction, queue
from approvals.web.choices import choices_of
from approvals.web.effects import consequences
from approvals.web.forms import ArgumentsForm, form_for, readable
from approvals.web.fragments import render_card, votes_counted
from approvals.web.previewing import render_preview
from approvals.web.reading import state_of, vote_words
from approvals.web.references import ABSENT
from approvals.web.schemas import Control, Slot, schema_like

SEEN = "approvals.seen"
MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a post was refused, for the panel."""

    title: str
    text: str = ""
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """The JSON that a form would send. ``is_whole``: byte for byte; else it holds what is not known yet, marked so.
    ``missing``: votes still needed after this one. ``decision_id``: the one that the decision will have."""

    text: str
    is_whole: bool
    missing: int
    decision_id: UUID | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a form's signed field says: the digest of what was on the screen, seconds since then, and the id that a decision
    by this form gets. It is made with the form, so that an answer which names it can be shown before it is sent."""

    view_digest: str = ""
    seconds_open: float | None = None
    decision_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A post that did not go through: its verdict, what was typed, its bound forms, and what was wrong."""

    verdict: str
    typed: Mapping[str, str]
    problem: Problem | None
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    form: ArgumentsForm | None = None
    answer_form: ArgumentsForm | None = None
    seen: str = ""  # the signed field that came with it: its time counts on
    preview: "Preview | None" = None  # asked for: what the asker would receive
    is_kept: bool = False  # the approval moved on: what was typed is shown to copy

    def lines(self) -> list[str]:
        """What was wrong, in words; nothing but the title where no field is to blame."""
        forms = [form for form in (self.form, self.answer_form) if form is not None]
        at_fields = [f"{form.fields[name].label if name in form.fields else ''} {text}".strip()
                     for form in forms for name, texts in form.errors.items() for text in texts]  # fmt: skip
        lines = [*(self.problem.lines if self.problem else ()), *at_fields]
        return lines or ([f"{self.problem.title} {self.problem.text}".strip()] if self.problem else [])


def render_panel(
    request: HttpRequest,
    approval: Approval,
    attempt: Attempt | None = None,
    card: str | None = None,
    is_answer: bool = False,
) -> SafeString:
    """Acts with their forms, or why there are none, and what was decided; root id ``panel``. ``card``: what the viewer sees
    beside it. ``is_answer``: to a post, so the focus goes to it. Raises TypeError when nobody is signed in."""
    user = request.user
    if not isinstance(user, User):
        raise TypeError("nobody is signed in")
    have, need = votes_counted(approval)
    is_held = approval.status == Status.HELD
    why_not = access.why_not(user, approval) if approval.is_pending or is_held else None
    reviewers = list(access.reviewers_of(approval)) if approval.is_pending else []
    gone = away([person.pk for person in reviewers], timezone.now()) if reviewers else {}
    named = sorted(reviewers, key=lambda person: person.pk in gone)[:MOST_NAMES]  # who is there comes first
    has_forms = approval.is_pending and why_not is None
    kept = _kept(attempt) if attempt and (attempt.is_kept or not has_forms) else []  # nothing typed is lost with the form
    context: dict[str, Any] = {
        "approval": approval,
        "state": state_of(approval, have),
        "standing": approval.standing,
        "is_answer": is_answer,
        "have": have,
        "need": need,
        "why_several": friction.why_several(approval) if approval.is_pending else "",
        "too_few": friction.too_few(approval) if approval.is_pending else "",
        "why_not": why_not,
        "is_held": is_held,
        "given_by": StandingUse.objects.filter(approval=approval).first() if not approval.is_pending else None,
        "may_stand": not approval.is_pending and not is_held and in_advance.why_not(user, approval) is None,
        "reviews": [vote_words(review) for review in approval.reviews.all()],
        "reviewers": [(person.label, gone[person.pk].words() if person.pk in gone else "") for person in named],
        "all_are_away": bool(reviewers) and len(gone) == len(reviewers),
        "more_reviewers": max(0, len(reviewers) - MOST_NAMES),
        "next": None if approval.is_pending else _next(user, approval),
        "problem": attempt.problem if attempt else None,
        "kept": kept,
        "holds_typing": bool(kept) or (attempt is not None and (attempt.form is not None or any(attempt.typed.values()))),
    }
    context |= {
        "stops": stopping.what(approval, user),
        "may_regret": not approval.is_pending and not regrets.why_not(user, approval),
    }
    if has_forms:
        context["preview_part"] = render_preview(request, approval)
        context |= _proof(request, user, approval)
        since = _opened_at(attempt.seen if attempt else request.GET.get("since", ""), approval)
        context |= _acts(approval, attempt, card if card is not None else render_card(approval), since)
    return SafeString(render_to_string("approvals/_panel.html", context, request=request).strip())


def read_seen(token: str, approval: Approval) -> Seen:
    """The form's signed field. Empty when it was tampered with, or made for another approval or another version of this one:
    a version has one decision at most, so no id is given out twice."""
    facts = _signed(token, approval)
    if facts is None:
        return Seen()
    view_digest, opened_at, decision_id = facts
    return Seen(view_digest, max(0.0, timezone.now().timestamp() - opened_at), decision_id)


def _signed(token: str, approval: Approval) -> tuple[str, float, UUID] | None:
    try:
        view_digest, opened_at, place, decision_id = signing.loads(token, salt=SEEN)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return (str(view_digest), float(opened_at), UUID(decision_id)) if place == _place(approval) else None


def _opened_at(token: str, approval: Approval) -> float:
    """When this version was first shown to whoever holds ``token``, an earlier field of the same form; else now."""
    facts = _signed(token, approval)
    return facts[1] if facts else timezone.now().timestamp()


def _place(approval: Approval) -> str:
    return f"{approval.pk}:{approval.version}"


def _seen(approval: Approval, card: str, attempt: Attempt | None, since: float) -> str:
    """The signed field. A page that shows a preview keeps the id which that names."""
    shown = attempt.preview.decision_id if attempt and attempt.preview else None
    facts = [digests.digest(card), since, _place(approval), str(shown or new_id())]
    return signing.dumps(facts, salt=SEEN)


def _proof(request: HttpRequest, user: User, approval: Approval) -> dict[str, Any]:
    """What of themselves the viewer has to prove before they approve it, and whether they have."""
    needed, proof = proof_needed(approval), proof_of(request)
    if not needed:
        return {}
    is_enough = proof is not None and (proof.is_second or needed == "any")
    confirm = reverse("mfa_reauthenticate" if needed == "second" else "account_reauthenticate")
    return {
        "proof_needed": needed, "proved_until": proof.until if proof and is_enough else None,
        "may_prove": may_prove(user),
        "prove_url": f"{confirm}?{urlencode({'next': reverse('people:confirmed')})}",
    }  # fmt: skip


def _acts(approval: Approval, attempt: Attempt | None, card: str, since: float) -> dict[str, Any]:
    nothing = {"message": "", "reason": "", "answer": "", "answer_text": "", "confirm": "", "read": ""}
    typed = {verdict: dict(nothing) for verdict in Verdict.values}
    if attempt:
        typed[attempt.verdict] |= attempt.typed
    allowed = list(approval.allowed)
    form = attempt.form if attempt and attempt.form else modify_form(approval)
    answer_form = attempt.answer_form if attempt and attempt.answer_form else answer_form_of(approval)
    return {
        "allowed": allowed,
        "object": display.object_of(approval),
        "noun": display.noun_of(approval),
        "form": form,
        "form_rows": _rows_of(form, approval) if form else [],
        "answer_form": answer_form,
        "answer_rows": [_row_of(answer_form, bound) for bound in answer_form.visible_fields()] if answer_form else [],
        "choices": choices_of(approval),
        "may_be_empty": approval.answer_schema is not None and not answers.problems(approval.answer_schema, ""),
        "typed": typed,
        "errors": attempt.errors if attempt else {},
        "open": attempt.verdict if attempt else "",
        "preview": attempt.preview if attempt else None,
        "reason_required": friction.needs_reason(approval),
        "reasons": approval.team.reasons(),
        "arms": friction.ARMING_SECONDS if friction.is_grave(approval) else 0,
        "evidence": friction.evidence_in(card),
        "confirm": friction.to_confirm(approval),
        "will": _will(approval) if approval.risk == Risk.MEDIUM else None,
        "seen": _seen(approval, card, attempt, since),
    }


def _will(approval: Approval) -> dict[str, Any]:
    """What the confirmation names: the deed, the arguments that decide it, and where it goes."""
    return {
        "sentence": display.sentence(approval),
        "deciding": [argument for argument in display.arguments(approval) if argument.is_key],
        "consequences": consequences(approval),
    }


def modify_form(approval: Approval, data: Mapping[str, Any] | None = None) -> ArgumentsForm | None:
    """The form made from the tool's schema, over the current arguments; None where nothing may be modified."""
    if Verdict.MODIFY not in approval.allowed:
        return None
    args = decode(approval.args)
    is_own = approval.kind == Kind.INTERRUPT  # an agent's own payload names no schema
    return form_for(approval.args_schema or (schema_like(args) if is_own else None), args, data)


def answer_form_of(approval: Approval, data: Mapping[str, Any] | None = None) -> ArgumentsForm | None:
    """The form for an answer with a schema of its own; None where one text or one choice is enough."""
    schema = approval.answer_schema
    if Verdict.RESPOND not in approval.allowed or schema is None or choices_of(approval) or is_words(schema):
        return None
    return form_for(schema, {} if "properties" in schema else ABSENT, data, prefix="answer")


def is_words(schema: Mapping[str, Any]) -> bool:
    """Whether any text is an answer, in one control for words."""
    return schema.get("type") == "string" and not {"format", "pattern", "const"} & schema.keys()


def _rows_of(form: ArgumentsForm, approval: Approval) -> list[dict[str, Any]]:
    """The fields in the order of the card, each with the text that its control shows untouched."""
    args = decode(approval.args)
    order = display.reading_order(args, approval.args_schema) if isinstance(args, dict) else []
    place = {name: number for number, name in enumerate(order)}

    def placed(bound: BoundField) -> int:
        path = form.slots[bound.name].path
        return place.get(str(path[0]), len(place)) if path else 0

    return [_row_of(form, bound) for bound in sorted(form.visible_fields(), key=placed)]


def _row_of(form: ArgumentsForm, bound: BoundField) -> dict[str, Any]:
    asked = bound.initial if isinstance(bound.initial, list) else [bound.initial or ""]
    labels = {str(key): str(label) for key, label, _value in getattr(bound.field, "choices", [])}
    slot = form.slots[bound.name]
    return {
        "field": bound,
        "label": bound.label,
        "asked": "\n".join(map(str, asked)),
        "asked_words": _readable(form, bound) or ", ".join(labels.get(str(key), str(key)) for key in asked),
        "is_changed": form.is_bound and bound.name in form.changed_data,
        "is_group": bound.use_fieldset,
        "speaks": slot.control in (Control.BRANCH, Control.ITEM),  # its choices are known by their words only
        "branch": {"of": form.chooser_of(slot.branch).name, "index": slot.branch.index} if slot.branch else None,
        "unit": _unit_of(form, slot),
    }


def _readable(form: ArgumentsForm, bound: BoundField) -> str:
    return readable(bound.initial, form.slots[bound.name].control)


def _unit_of(form: ArgumentsForm, slot: Slot) -> dict[str, str] | None:
    """The currency that stands beside an amount of money: that of the field next to it."""
    if slot.control not in (Control.DECIMAL, Control.NUMBER) or not slot.path or not display.is_money(str(slot.path[-1])):
        return None
    beside = next((each for each in form.slots.values() if each.path == (*slot.path[:-1], "currency")), None)
    if beside is None:
        return None
    bound = form[beside.name]
    return {"of": str(bound.id_for_label), "text": str(bound.value() or "")}


def _next(user: User, approval: Approval) -> dict[str, Any] | None:
    other = queue.most_urgent_but(user, approval)
    if other is None:
        return None
    with masking.masked():  # the page of this approval may be one that reveals
        return {"id": other.pk, "sentence": display.sentence(other)}


def _kept(attempt: Attempt) -> list[dict[str, str]]:
    words = {"message": _("Message"), "answer": _("Answer"), "answer_text": _("Answer")}
    parts = [{"label": words[name], "text": attempt.typed[name]} for name in words if attempt.typed.get(name)]
    for form in (attempt.form, attempt.answer_form):
        if form is not None:
            parts += [{"label": str(form[name].label), "text": str(form[name].value() or "")} for name in form.changed_data]
    return parts
