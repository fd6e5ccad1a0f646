"""Rows for the pictures of the main pages: always the same words and the same moments."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from agentdesk.people.models import Membership, Role, Team, User
from approvals.models import Approval, Decision
from runs.models import Run, ToolCall
from tests.approvals.cast import make_approval, make_rule, post
from tests.runs.web.conftest import START, make_cast, told
from tests.screens.conftest import NOW

REASON = "The photos show a torn outer tent. Our terms promise the money back within 30 days, so I recommend a full refund."


@dataclass(frozen=True)
class Desk:
    """Who looks, and where the pages are."""

    robin: User
    addresses: dict[str, str]


def furnish() -> Desk:
    """Make the rows. Once for a database."""
    cast = make_cast()
    team, robin = cast.team, cast.reviewer
    for role in (Role.OPERATOR, Role.ADMIN):
        Membership.objects.create(user=robin, team=team, role=role)
    second = User.objects.create(username="ashby", first_name="Sam", last_name="Ashby")
    Membership.objects.create(user=second, team=team, role=Role.REVIEWER)
    run = told(cast).run
    Run.objects.update(created_at=START)
    ToolCall.objects.update(proposed_at=START)
    Approval.objects.update(requested_at=START)
    make_rule("ask", name="Refund over 200", conditions=[{"path": "amount", "op": ">", "value": "200"}])
    for number in range(3):
        _decide(_ask(team, number, risk="low"), second)
    low, critical = _ask(team, 10, risk="low"), _ask(team, 11, risk="critical", effect="irreversible", amount="1860.00")
    _ask(team, 12, risk="high", amount="640.00")
    _ask(team, 13, risk="medium", amount="212.50")
    mails = [_mail(team, number) for number in range(3)]
    batch = "&".join(f"id={one.pk}" for one in mails)
    addresses = {
        "inbox": "/approvals/",
        "decision-low": f"/approvals/{low.pk}/",
        "decision-critical": f"/approvals/{critical.pk}/",
        "run": f"/runs/{run.pk}/",
        "batch": f"/approvals/batch/?{batch}",
        "profile": "/profile/",
        "team": f"/teams/{team.slug}/",
    }
    return Desk(robin, addresses)


def _ask(team: Team, number: int, *, amount: str = "240.00", **facts: Any) -> Approval:
    args = {"order_id": f"481{number:02}", "amount": amount}
    made = make_approval(team, args=args, reason=REASON, subject=f"Order 481{number:02}: the tent arrived torn.", **facts)
    return _at(made, number)


def _mail(team: Team, number: int) -> Approval:
    args = {
        "to": f"{('edda', 'bram', 'noor')[number]}@example.com",
        "template": "delay_notice v3",
        "day": ("Thu", "Thu", "Wed")[number],
    }
    made = make_approval(team, action="send_email", args=args, args_schema=None, risk="low", egress=True)
    return _at(made, 20 + number)


def _at(approval: Approval, number: int) -> Approval:
    """The approval as if it had been asked a few minutes before the pictures' moment."""
    asked = NOW - timedelta(minutes=5 + number)
    Approval.objects.filter(pk=approval.pk).update(requested_at=asked, expires_at=NOW + timedelta(minutes=20 + 3 * number))
    approval.refresh_from_db()
    return approval


def _decide(approval: Approval, user: User) -> None:
    post(approval, user)
    Decision.objects.filter(approval=approval).update(
        decided_at=NOW - timedelta(hours=2), delivered_at=NOW - timedelta(hours=2)
    )
    asked = NOW - timedelta(hours=2, minutes=4)
    Approval.objects.filter(pk=approval.pk).update(requested_at=asked, closed_at=NOW - timedelta(hours=2))
