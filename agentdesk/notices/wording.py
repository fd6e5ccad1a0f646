"""How an announcement reads: the body of a webhook, Slack's blocks, an e-mail. Title, risk and link; never arguments, and no
link decides anything. What agents and outsiders named is shown with its invisible characters made visible."""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import dateformat
from django.utils.translation import gettext as _

from agentdesk.notices.models import Announcement, Event, Level
from agentdesk.notices.subjects import Facts

_BEYOND_ASCII = re.compile(r"[^\x20-\x7e]")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
LONGEST = 140  # characters of a title


@dataclass(frozen=True, slots=True)
class Told:
    """What leaves the desk about one object, as it is kept with its announcement."""

    title: str
    agent: str
    team: str
    risk: str
    path: str
    due_at: str
    outcome: str

    @classmethod
    def of(cls, facts: Facts) -> "Told":
        due_at = facts.due_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if facts.due_at else ""
        title, agent, team = (plain(text)[:LONGEST] for text in (facts.title, facts.agent, facts.team))
        return cls(title, agent, team, facts.risk, facts.path, due_at, facts.outcome)

    def stored(self) -> dict[str, str]:
        return asdict(self)

    @property
    def link(self) -> str:
        return f"{settings.AGENTDESK_URL}{self.path}"


def told_of(announcement: Announcement) -> Told:
    """Raises TypeError for an announcement that was not spread yet."""
    return Told(**announcement.facts)


def plain(text: str) -> str:
    """``text`` on one line, with characters that cannot be seen or that turn the direction shown by their codes."""
    return _BEYOND_ASCII.sub(lambda match: f"‹U+{ord(match[0]):04X}›" if _is_unseen(match[0]) else match[0], text)


def headline(announcement: Announcement, *, to_person: bool = False) -> str:
    """One line: ``High risk: Issue refund waits for people``. ``to_person``: it is read by whom the announcement is about."""
    told = told_of(announcement)
    said = _sentence(announcement, told, to_person)
    if not told.risk:
        return said
    return _("%(risk)s risk: %(sentence)s") % {"risk": Level(told.risk).label, "sentence": said}


def webhook_body(announcement: Announcement) -> bytes:
    """The JSON of a signed webhook: the same bytes for every try."""
    told = told_of(announcement)
    data: dict[str, Any] = {
        "object": {"kind": announcement.kind, "id": announcement.object_id},
        "title": told.title, "risk": told.risk or None, "agent": told.agent, "team": told.team,
        "link": told.link, "due_at": told.due_at or None, "share": announcement.share, "outcome": told.outcome or None,
    }  # fmt: skip
    at = announcement.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": announcement.event, "timestamp": at, "data": data}, ensure_ascii=False).encode()


def slack_body(announcement: Announcement) -> bytes:
    """Text and blocks for Slack and what understands the same; its only button opens the page."""
    told, said = told_of(announcement), headline(announcement)
    around = " · ".join(each for each in (told.agent, told.team, _until(told, ZoneInfo("UTC"))) if each)
    button = {"type": "button", "text": _text(_("Open in AgentDesk")), "url": told.link}
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _text(said)}]
    if around:
        blocks.append({"type": "context", "elements": [_text(around)]})
    blocks.append({"type": "actions", "elements": [button]})
    return json.dumps({"text": f"{said} {told.link}".translate(_SLACK), "blocks": blocks}, ensure_ascii=False).encode()


def mail(announcements: Sequence[Announcement], zone: ZoneInfo) -> tuple[str, str]:
    """Subject and text of one e-mail about these. Raises ValueError for none."""
    if not announcements:
        raise ValueError("nothing to write about")
    first = headline(announcements[0], to_person=True)
    subject = first if len(announcements) == 1 else _("AgentDesk: %(count)d notifications") % {"count": len(announcements)}
    lines = [(headline(each, to_person=True), told_of(each), _until(told_of(each), zone)) for each in announcements]
    rules = f"{settings.AGENTDESK_URL}/profile/notifications/"
    return subject, render_to_string("notices/mail.txt", {"lines": lines, "rules": rules})


def _sentence(announcement: Announcement, told: Told, to_person: bool) -> str:
    named = {"title": told.title, "share": announcement.share, "outcome": _outcome(told.outcome)}
    match announcement.event:
        case Event.ASKED:
            return _("%(title)s waits for people") % named
        case Event.ASSIGNED if to_person:
            return _("%(title)s is yours to decide") % named
        case Event.ASSIGNED:
            return _("%(title)s was given to somebody to decide") % named
        case Event.DUE if announcement.share == 100:
            return _("%(title)s: the time to decide is over") % named
        case Event.DUE:
            return _("%(title)s: %(share)s %% of the time to decide is over") % named
        case Event.REMINDED:
            return _("%(title)s still waits for people") % named
        case Event.DECIDED:
            return _("%(title)s: %(outcome)s") % named
        case Event.RUN_FAILED:
            return (
                _("%(title)s: the run was stopped") if told.outcome == "stopped" else _("%(title)s: the run failed")
            ) % named
    return told.title


def _outcome(outcome: str) -> str:
    words = {
        "approve": _("approved"), "modify": _("approved with changes"), "reject": _("rejected"), "respond": _("answered"),
        "ask": _("sent back with a question"),
        "expire": _("expired"), "withdraw": _("withdrawn"),
    }  # fmt: skip
    return words.get(outcome, outcome or _("closed"))


def _until(told: Told, zone: ZoneInfo) -> str:
    if not told.due_at:
        return ""
    at = datetime.fromisoformat(told.due_at).astimezone(zone)
    # Translators: how a moment is written in e-mails, in Django's letters for dates: 2026-11-24 13:53 CET
    return _("to be decided by %(at)s") % {"at": dateformat.format(at, _("Y-m-d H:i T"))}


def _text(text: str) -> dict[str, str]:
    """Text that Slack reads as nothing but text: no mark-up, no mentions."""
    return {"type": "plain_text", "text": text}


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN
