"""What the page puts between a reader and the approve button: the graver the risk, the more, and never less by an edit."""

import re
from collections.abc import Mapping

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from approvals import access
from approvals.models import Approval
from approvals.policy.requirements import progress
from approvals.states import Risk
from approvals.web import display

ARMING_SECONDS = 3  # for which a grave action stands on the screen before it can be approved
MOST_OPENED = 20
_OPENED = re.compile(r"[A-Za-z][A-Za-z0-9_:.-]{0,63}")
_EVIDENCE = re.compile(r"<details\b[^>]*\sdata-evidence[\s>=]")  # in what the desk rendered: text of others is escaped there


def is_grave(approval: Approval) -> bool:
    """High or critical risk: the evidence is read, a reason is given, and nothing is sent at once."""
    return Risk(approval.risk).rank >= Risk.HIGH.rank


def needs_reason(approval: Approval) -> bool:
    """High and critical risk, or the rule wants it: whoever approves says why."""
    return is_grave(approval) or bool(approval.requirements.get("message_required"))


def to_confirm(approval: Approval) -> str:
    """Critical risk: what has to be typed before it is approved; empty below."""
    if approval.risk != Risk.CRITICAL:
        return ""
    keys = [argument for argument in display.arguments(approval) if argument.is_key]
    return (keys[-1].text.strip() if keys else "") or approval.action  # an empty one would ask for nothing


def evidence_in(card: str) -> int:
    """How many pieces of evidence the rendered ``card`` holds folded."""
    return len(_EVIDENCE.findall(card))


def opened(data: Mapping[str, str]) -> list[str]:
    """The ids of the evidence that the page says was open. It is kept on record as what the page said, and proves nothing."""
    return [name for name in data.get("opened", "").split() if _OPENED.fullmatch(name)][:MOST_OPENED]


def problems(data: Mapping[str, str], approval: Approval, message: str) -> dict[str, list[str]]:
    """What is missing, by the field that it is missing in, before this approval may be sent; without its time."""
    found: dict[str, list[str]] = {}
    if needs_reason(approval) and not message:
        found["message"] = [_("Give a reason: it is kept on record.")]
    confirm = to_confirm(approval)
    if confirm and data.get("confirm", "").strip() != confirm:
        found["confirm"] = [_("Type exactly: %(text)s") % {"text": confirm}]
    return found


def haste(data: Mapping[str, str], approval: Approval, seconds_open: float | None) -> dict[str, list[str]]:
    """The same of what is looked at: the evidence is read, and the form was on the screen for long enough."""
    if not is_grave(approval):
        return {}
    found: dict[str, list[str]] = {}
    if data.get("read") != "yes":
        found["read"] = [_("Read the evidence first, then say so.")]
    if seconds_open is None:
        found["seen"] = [_("This form was not made for what stands here now. Look at it, then send it again.")]
    elif seconds_open < ARMING_SECONDS:
        text = ngettext("Sent too soon: look at it for %(n)d second first.",
                        "Sent too soon: look at it for %(n)d seconds first.", ARMING_SECONDS)  # fmt: skip
        found["seen"] = [text % {"n": ARMING_SECONDS}]
    return found


def why_several(approval: Approval) -> str:
    """Why more than one person decides, where the risk itself wants it; empty otherwise."""
    people = int(approval.requirements.get("people", 1))
    if people < 2:
        return ""
    return ngettext("Critical risk: %(n)d person has to approve.",
                    "Critical risk: %(n)d different people have to approve.", people) % {"n": people}  # fmt: skip


def too_few(approval: Approval) -> str:
    """That fewer people may decide it than have to; empty where there are enough."""
    if approval.need < 2:
        return ""
    may = access.deciders_of(approval)
    have, need = progress(approval.requirements, access.teams_reviewed_by(may, approval.reviewing_teams()))
    if have >= need:
        return ""
    text = ngettext(
        "Only %(n)d person may decide this; %(need)d are needed. An admin can make more people reviewers of %(teams)s.",
        "Only %(n)d people may decide this, which is not enough; %(need)d approvals are needed. "
        "An admin can make more people reviewers of %(teams)s.", len(may),
    )  # fmt: skip
    teams = ", ".join(access.reviewing_names(approval))
    return text % {"n": len(may), "need": need, "teams": teams}
