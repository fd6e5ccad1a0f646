"""What an action does beyond its arguments: whom it reaches, whether it can be taken back and until when. The desk's own words,
made from the labels of the tool as they are now, and from the real arguments."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agentdesk import masking
from agentdesk.digests import decode
from agentdesk.templatetags.desk import span
from approvals import holding
from approvals.models import Approval, Tool
from approvals.models.tools import Effect
from approvals.policy.fences import apart
from approvals.policy.paths import values_at
from approvals.states import Kind, Verdict
from approvals.web.display import RECIPIENT

MOST_RECIPIENTS = 3  # that are named; the others are counted
LONGEST_RECIPIENT = 80  # characters


@dataclass(frozen=True, slots=True)
class Consequence:
    """One line of what the action does: an icon, its main words and the rest."""

    icon: str
    main: str
    rest: str = ""


def consequences(approval: Approval) -> list[Consequence]:
    """One query, where the tool was not read yet."""
    tool = approval.tool
    lines = _of_the_effect(approval)
    lines += _undone_by(approval, tool)
    lines += _reaches(approval, tool)
    if approval.is_pending and (held := _held(approval, tool)):
        told = _("after the last approval, in which it can be recalled")
        lines.append(Consequence("clock", _("Held %(span)s") % {"span": _whole(held)}, told))
    return lines


def _of_the_effect(approval: Approval) -> list[Consequence]:
    match approval.effect:
        case Effect.READ:
            return [Consequence("eye", _("Reads only"), _("changes nothing"))]
        case Effect.WRITE:
            return [Consequence("pencil", _("Changes data"), _("by its label as a writing tool"))]
        case Effect.IRREVERSIBLE:
            return [Consequence("lock", _("Cannot be taken back"), _("once it has run"))]
    return []


def _undone_by(approval: Approval, tool: Tool | None) -> list[Consequence]:
    """How a writing call is taken back. What is irreversible by its label, or only reads, has no such line."""
    if approval.effect != Effect.WRITE or tool is None or approval.kind == Kind.IN_DOUBT or approval.adapter == "undo":
        return []
    if not tool.undo_tool:
        return [Consequence("lock", _("Nothing undoes it"), _("no tool of this agent takes it back"))]
    name = {"tool": tool.undo_tool}
    if tool.undo_seconds is None:
        return [Consequence("undo", _("Can be taken back"), _("at any time, by %(tool)s") % name)]
    within = {**name, "span": _whole(tool.undo_seconds)}
    return [Consequence("undo", _("Can be taken back"), _("within %(span)s, by %(tool)s") % within)]


def _reaches(approval: Approval, tool: Tool | None) -> list[Consequence]:
    """Who receives it, by name where the arguments name them."""
    who = recipients(decode(approval.args), tool.recipients_at if tool else ())
    if who:
        named = ", ".join(who[:MOST_RECIPIENTS])
        if (more := len(who) - MOST_RECIPIENTS) > 0:
            named += " " + ngettext("and %(n)s more", "and %(n)s more", more) % {"n": more}
        where = _("outside") if approval.egress else _("in the house, by its label") if approval.effect else ""
        return [Consequence("out" if approval.egress else "desk", _("Reaches %(who)s") % {"who": named}, where)]
    if not approval.effect:
        return []
    if approval.egress:
        return [Consequence("out", _("Leaves the house"), _("somebody outside receives it"))]
    return [Consequence("desk", _("Stays in the house"), _("by its label"))]


def recipients(args: Any, at: Any) -> list[str]:
    """Whom the arguments name: at the paths that an admin gave (``at``), else under the usual names. Links are told by their
    host; secrets are masked."""
    if not isinstance(args, Mapping):
        return []
    paths = [str(path).split(".") for path in at] or [[name] for name in RECIPIENT if name in args]
    found: list[str] = []
    for path in paths:
        for value in values_at(args, path):
            entries = value if isinstance(value, list | tuple) else [value]
            found += [_one(text) for entry in entries if isinstance(entry, str) for text in apart(entry)]
    return list(dict.fromkeys(found))


def _one(text: str) -> str:
    shown = masking.text(text[: 4 * LONGEST_RECIPIENT])
    if "://" in text:
        with contextlib.suppress(ValueError):  # no link that anybody could follow is shown as it is
            shown = urlsplit(text).hostname or shown
    return shown if len(shown) <= LONGEST_RECIPIENT else f"{shown[:LONGEST_RECIPIENT]}…"


def _whole(seconds: int) -> str:
    """Words of a span without tenths of a second."""
    return _("%(n)s s") % {"n": seconds} if seconds < 10 else span(float(seconds))


def _held(approval: Approval, tool: Tool | None) -> int:
    """Seconds; 0 where nobody can approve."""
    if approval.kind == Kind.IN_DOUBT or not {Verdict.APPROVE, Verdict.MODIFY} & set(approval.allowed):
        return 0
    return holding.seconds_by(tool, approval.risk)
