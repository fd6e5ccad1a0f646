"""The exact JSON that a form would send, while it is being filled in."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from agentdesk.digests import decode, encode
from approvals import answers, sources
from approvals.decisions import UNSET
from approvals.errors import InvalidAnswer
from approvals.models import Approval, Decision
from approvals.states import Verdict
from approvals.web import display
from approvals.web.panel import Attempt
from approvals.web.posts import read_post, refusal


def previewed(data: Mapping[str, str], approval: Approval, user: Any) -> Attempt:
    """The form as posted, with the JSON that its asker would receive. Raises Refused where it cannot be a decision; an attempt
    without ``exact`` says what the schema finds wrong."""
    post = read_post(data, approval)
    verdict = Verdict(post["verdict"])
    args, answer = decode(approval.args), post.get("answer", UNSET)
    if verdict == Verdict.MODIFY:
        args = answers.keep_types(args, post.get("args", args))
    wrong = answers.problems(approval.answer_schema, answer) if answer is not UNSET else {}
    if wrong:
        return refusal(InvalidAnswer({path or "answer": texts for path, texts in wrong.items()}), data, approval)
    assumed = Decision(
        approval=approval, version=approval.version, verdict=verdict, args=encode(args), digest=approval.digest,
        answer=None if answer is UNSET else encode(answer), message=post["message"], decided_by_label=user.label,
        decided_at=timezone.now(),
    )  # fmt: skip
    source = sources.get(approval.source)
    sent = source.preview_answer(approval, assumed) if source else None
    if source is None:
        sent = {"verdict": verdict, "args": assumed.args, "answer": assumed.answer, "message": assumed.message}
    return Attempt(verdict, {name: data.get(name, "") for name in ("message", "answer", "answer_text", "confirm")}, None,
                   exact=display.as_json(sent))  # fmt: skip
