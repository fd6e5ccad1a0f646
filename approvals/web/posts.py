"""What a decision form posts, read into what the verb takes, and what a refusal gives back."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from approvals.drafts import required_for
from approvals.errors import AlreadyDecided, ApprovalError, Expired, InvalidAnswer, NotAllowed, NotCurrent
from approvals.models import Approval
from approvals.states import PEOPLES_VERDICTS, Verdict
from approvals.votes import Post, args_from
from approvals.web import friction
from approvals.web.choices import choices_of
from approvals.web.forms import ArgumentsForm
from approvals.web.panel import (
    Attempt,
    Problem,
    answer_form_of,
    modify_form,
    read_seen,
)
from approvals.web.reading import outcome_words

LONGEST_MESSAGE = 10_000
_TYPED = ("message", "reason", "answer", "answer_text", "confirm", "read")
_MOVED_ON = (AlreadyDecided, Expired, NotCurrent)


class Refused(Exception):
    """The form as posted cannot be a decision; ``attempt`` says why, at the fields."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(attempt.problem.title if attempt.problem else "")
        self.attempt = attempt


def read_post(data: Mapping[str, str], approval: Approval, *, decides: bool = True) -> Post:
    """The post as arguments of the verb. ``decides``: False where it is only looked at what it would bring, for which nobody
    has to have read anything yet. Raises :class:`Refused`."""
    verdict = data.get("verdict", "")
    if verdict not in PEOPLES_VERDICTS:
        raise Refused(Attempt(Verdict.APPROVE, {}, Problem(_("No such decision."))))
    seen = read_seen(data.get("seen", ""), approval)
    post: Post = {
        "verdict": verdict,
        "digest": data.get("digest", ""),
        "version": _number(data.get("version", "")),
        "message": _lines(data.get("message", "")),
        "view_digest": seen.view_digest,
        "seconds_open": seen.seconds_open,
        "decision_id": seen.decision_id,
    }
    if post["version"] > approval.version:
        raise NotCurrent(approval)  # nobody has seen it: unchecked, it could be the one that stands when the verb looks
    if (post["digest"], post["version"]) != (approval.digest, approval.version):
        return post  # the verb refuses it, and knows better why
    if (length := len(post["message"])) > LONGEST_MESSAGE:
        text = _("%(length)d characters are too many: at most %(most)d.") % {"length": length, "most": LONGEST_MESSAGE}
        raise _refused(data, approval, {"message": [text]})
    _check_friction(data, post, approval, decides=decides)
    if friction.is_grave(approval):
        post["opened"] = friction.opened(data)
    if verdict == Verdict.REJECT and (reason := data.get("reason")):
        post["message"] = "\n".join(text for text in (reason, post["message"]) if text)
    if verdict == Verdict.MODIFY:
        post["args"] = _modified(data, approval, post["message"])
    if verdict == Verdict.RESPOND:
        post["answer"] = _answered(data, approval)
    return post


def refusal(error: ApprovalError, data: Mapping[str, str], approval: Approval) -> Attempt:
    """What to show for an error of the verb. ``approval`` is as it is now."""
    verdict = data.get("verdict", "")
    verdict = verdict if verdict in PEOPLES_VERDICTS else Verdict.APPROVE
    form = modify_form(approval, data) if verdict == Verdict.MODIFY else None
    answer_form = answer_form_of(approval, data) if verdict == Verdict.RESPOND else None
    for bound in (form, answer_form):
        if bound is not None:
            bound.is_valid()
    errors: dict[str, list[str]] = {}
    lines: list[str] = []
    if isinstance(error, InvalidAnswer):
        lines = _spread(error, form or answer_form, errors)
    is_kept = isinstance(error, _MOVED_ON) or (isinstance(error, NotAllowed) and not approval.is_pending)
    return Attempt(
        verdict=verdict,
        typed=typed(data),
        problem=Problem(_title(error), "" if lines or errors else _told(error), lines),
        errors=errors,
        form=form,
        answer_form=answer_form,
        seen=data.get("seen", ""),
        is_kept=is_kept,
    )


def _check_friction(data: Mapping[str, str], post: Post, approval: Approval, *, decides: bool) -> None:
    if post["verdict"] == Verdict.RESPOND:
        return
    if post["verdict"] == Verdict.ASK:
        if not post["message"]:
            raise _refused(data, approval, {"message": [_("Write what you want to know.")]})
        return
    if post["verdict"] == Verdict.REJECT:
        reason = data.get("reason", "")
        if reason and reason not in approval.team.reasons():
            raise _refused(data, approval, {"message": [_("That reason is not in the list any more: choose again.")]})
        if not post["message"] and not reason:
            raise _refused(data, approval, {"message": [_("Give a reason: it is kept on record.")]})
        return
    errors = friction.problems(data, approval, post["message"])
    if decides:
        errors |= friction.haste(data, approval, post.get("seconds_open"))
    if errors:
        raise _refused(data, approval, errors)


def _modified(data: Mapping[str, str], approval: Approval, message: str) -> dict[str, Any]:
    """The arguments as the form says. What they need the form has to bring: an edit may ask for a reason that was optional."""
    form = modify_form(approval, data)
    if form is None:
        raise _refused(data, approval, {"": [_("This cannot be modified.")]})
    if not form.is_valid():
        raise _refused(data, approval, {}, form=form)
    args: dict[str, Any] = form.cleaned_args()
    if not message and _asks_for_reason(approval, args):
        told = _("With these arguments a reason has to be given: it is kept on record.")
        raise _refused(data, approval, {"message": [told]}, form=form)
    return args


def _asks_for_reason(approval: Approval, args: dict[str, Any]) -> bool:
    try:
        return required_for(approval, args_from(approval, args))["message_required"]
    except (InvalidAnswer, NotAllowed):
        return False  # the verb says what is wrong with them


def _answered(data: Mapping[str, str], approval: Approval) -> Any:
    if (choices := choices_of(approval)) is not None:
        try:
            return choices.read(data.get("answer", ""), _lines(data.get("answer_text", "")))
        except ValidationError as error:
            raise _refused(data, approval, {"answer": error.messages}) from error
    form = answer_form_of(approval, data)
    if form is None:
        return _lines(data.get("answer", ""))
    if not form.is_valid():
        raise _refused(data, approval, {}, answer_form=form)
    return form.cleaned_args()


def _refused(
    data: Mapping[str, str],
    approval: Approval,
    errors: dict[str, list[str]],
    form: ArgumentsForm | None = None,
    answer_form: ArgumentsForm | None = None,
) -> Refused:
    """The form again, with its text. What is wrong stands on top too, where it is no field of the tool."""
    if form is None and data.get("verdict") == Verdict.MODIFY:
        form = modify_form(approval, data)
    lines = [text for texts in errors.values() for text in texts]
    problem = Problem(_("Not sent: something is missing or wrong."), lines=lines)
    return Refused(Attempt(data["verdict"], typed(data), problem, errors, form, answer_form, data.get("seen", "")))


def _spread(error: InvalidAnswer, form: ArgumentsForm | None, errors: dict[str, list[str]]) -> list[str]:
    """Puts each message at its field where there is one; the others are returned."""
    at_fields = {path: texts for path, texts in error.errors.items() if path in ("message", "answer")}
    errors |= at_fields
    rest = {path: texts for path, texts in error.errors.items() if path not in at_fields}
    if form is not None:
        form.show_problems(rest)
        return []
    return [f"{path}: {text}" if path else text for path, texts in rest.items() for text in texts]


def _title(error: ApprovalError) -> str:
    match error:
        case InvalidAnswer():
            return _("Not sent: something is missing or wrong.")
        case AlreadyDecided():
            return _("Somebody else was first.")
        case NotCurrent():
            return _("This has changed since you saw it.")
        case Expired():
            return _("The time is up.")
        case NotAllowed():
            return _("Not recorded.")
    return _("Not recorded.")


def _told(error: ApprovalError) -> str:
    if isinstance(error, AlreadyDecided):
        return _("%(what)s at %(when)s UTC.") % {
            "what": outcome_words(error.decision),
            "when": error.decision.decided_at.strftime("%H:%M:%S"),
        }
    return str(error)


def typed(data: Mapping[str, str]) -> dict[str, str]:
    """What was written into the form's own fields."""
    return {name: data.get(name, "") for name in _TYPED}


def _lines(text: str) -> str:
    """What was typed into a field: browsers send its line ends as CRLF."""
    return text.replace("\r\n", "\n").strip()


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
