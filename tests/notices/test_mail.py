"""E-mail to people, by their own rules."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.notices import outbox, sending
from agentdesk.notices.models import Delivery, PersonalRules
from agentdesk.people.models import Absence, Membership, Role, User
from approvals import notices
from approvals.decisions import decide, remind_due
from approvals.models import Approval
from approvals.requests import withdraw
from runs.engine.claims import Claim, release
from runs.models import Run
from runs.states import RunStatus
from tests.admin.test_admin_rules import signed_in
from tests.cast import Cast, make_approval, make_user
from tests.notices.conftest import make_due, run_all, write_to

State = Delivery.State
PAGE = "/profile/notifications/"
FORM = {"mail": "on", "events": ["approval.asked"], "minimum_risk": "low", "pace": "at_once"}


@pytest.fixture(autouse=True)
def mail_is_on(settings: Any) -> None:
    settings.NOTICES_MAIL = True


def receivers() -> list[str]:
    return sorted(address.split("@")[0] for message in mail.outbox for address in message.to)


def decided(approval: Any, user: User) -> None:
    post: Any = {"verdict": "approve", "digest": approval.digest, "version": approval.version}
    decide(approval.pk, actor=Actor.of(user), **post)


def test_reviewers_of_the_team_who_want_it_are_written_to(cast: Cast):
    write_to(cast.reviewer)
    write_to(cast.second, minimum_risk="high")
    write_to(cast.operator)
    write_to(cast.stranger)
    approval = make_approval(cast.support, risk="medium", args={"order_id": "A-1", "amount": 81.5})
    run_all()
    (message,) = mail.outbox
    assert message.to == ["reviewer@example.com"]
    assert message.subject == "Medium risk: Issue refund waits for people"
    assert f"http://127.0.0.1:8000/approvals/{approval.pk}/\n" in message.body
    assert "81.5" not in message.body
    assert "Nothing can be decided by answering" in message.body
    assert Delivery.objects.get().state == State.SENT


def test_who_asked_or_decided_is_not_told_of_it(cast: Cast):
    for user in (cast.reviewer, cast.second):
        write_to(user, events=["approval.asked", "approval.decided"])
    approval = make_approval(cast.support, requester_id=cast.second.pk)
    run_all()
    assert receivers() == ["reviewer"]
    mail.outbox.clear()
    decided(approval, cast.reviewer)
    run_all()
    assert receivers() == ["second"]
    assert mail.outbox[0].subject == "Medium risk: Issue refund: approved"


def test_reviewers_are_reminded_and_who_asked_is_not(cast: Cast):
    for user in (cast.reviewer, cast.second):
        write_to(user, events=["approval.reminded"])
    approval = make_approval(cast.support, requester_id=cast.second.pk, requirements={"remind_after": 60.0})
    Approval.objects.filter(pk=approval.pk).update(remind_at=timezone.now() - timedelta(seconds=1))
    assert remind_due() == 1
    for _time in range(2):
        run_all()
    assert receivers() == ["reviewer"]
    assert mail.outbox[0].subject == "Medium risk: Issue refund still waits for people"


def test_whom_it_is_given_to_is_written_to_once(cast: Cast):
    write_to(cast.reviewer, events=["approval.assigned"])
    write_to(cast.second, events=["approval.assigned"])
    approval = make_approval(cast.support)
    for _time in range(2):
        notices.tell_assigned(approval, cast.second)
        run_all()
    assert receivers() == ["second"]
    assert mail.outbox[0].subject == "Medium risk: Issue refund is yours to decide"


@pytest.mark.parametrize(("status", "said"), [(RunStatus.FAILED, "failed"), (RunStatus.STOPPED, "was stopped")])
def test_operators_and_who_started_it_hear_of_a_run_that_failed(cast: Cast, status: RunStatus, said: str):
    for user in (cast.operator, cast.reviewer, cast.second):
        write_to(user)
    run = Run.objects.create(
        agent=cast.agent, team=cast.support, title="Refund of Ms Ashby", input={}, status=RunStatus.RUNNING, attempt=1,
        claimed_by=7, thread_id="t", requester=cast.second,
    )  # fmt: skip
    release(Claim(run, 1, 7, run.wanted, False), status, because="limit:tokens" if status == RunStatus.STOPPED else "")
    run_all()
    assert receivers() == ["operator", "second"]
    assert mail.outbox[0].subject == f"support {str(run.pk)[-8:]}: the run {said}"
    assert "Ashby" not in mail.outbox[0].subject + str(mail.outbox[0].body), "a run's title is made from its input"


def test_what_waits_for_the_hour_leaves_in_one_mail_without_what_is_over(cast: Cast):
    write_to(cast.reviewer, pace="hourly")
    made = [make_approval(cast.support, risk="high") for _approval in range(4)]
    run_all()
    assert mail.outbox == []
    decided(made[0], cast.second)
    withdraw(made[1].pk, Actor.desk())
    outbox.spread()
    make_due()
    run_all()
    (message,) = mail.outbox
    assert message.subject == "AgentDesk: 3 notifications"  # two wait, one was decided
    assert [str(each.pk) in message.body for each in made] == [True, False, True, True]
    assert str(message.body).count(str(made[0].pk)) == 1
    dropped = Delivery.objects.filter(state=State.DROPPED)
    assert {each.because for each in dropped} == {"It was closed before the e-mail was due."}
    assert dropped.count() == 2


def test_critical_does_not_wait_with_the_others(cast: Cast):
    now = timezone.now()
    quiet = {"quiet_from": (now - timedelta(hours=1)).time(), "quiet_until": (now + timedelta(hours=1)).time()}
    write_to(cast.reviewer, pace="hourly", **quiet)
    for risk in ("low", "critical"):
        make_approval(cast.support, risk=risk)
    run_all()
    assert [message.subject for message in mail.outbox] == ["Critical risk: Issue refund waits for people"]


def test_quiet_hours_are_those_of_the_persons_zone(cast: Cast):
    cast.reviewer.time_zone = "Asia/Kathmandu"
    write_to(cast.reviewer, quiet_from=time(0, 0), quiet_until=time(23, 59, 59))
    make_approval(cast.support, risk="low")
    outbox.spread()
    local = Delivery.objects.get().next_at.astimezone(cast.reviewer.zone)
    assert (local.hour, local.minute, local.second) == (23, 59, 59)


@pytest.mark.parametrize("change", ["leaves the team", "is switched off", "has no address"])
def test_who_may_not_see_it_any_more_is_not_written_to(cast: Cast, change: str):
    write_to(cast.reviewer)
    make_approval(cast.support)
    outbox.spread()
    match change:
        case "leaves the team":
            Membership.objects.filter(user=cast.reviewer).delete()
        case "is switched off":
            User.objects.filter(pk=cast.reviewer.pk).update(is_active=False)
        case _:
            User.objects.filter(pk=cast.reviewer.pk).update(email="")
    run_all()
    assert mail.outbox == []
    assert Delivery.objects.get().state == State.DROPPED


def test_without_e_mail_on_the_desk_nobody_is_written_to(cast: Cast, settings: Any):
    settings.NOTICES_MAIL = False
    write_to(cast.reviewer)
    make_approval(cast.support)
    run_all()
    assert not Delivery.objects.exists()
    assert "This desk has no e-mail set up" in signed_in(cast.reviewer).get(PAGE).content.decode()


def test_a_mail_server_that_is_away_is_tried_again_later(cast: Cast, settings: Any):
    for user in (cast.reviewer, cast.second):
        write_to(user)
    make_approval(cast.support)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    run_all()
    tried = Delivery.objects.filter(tries=1)
    assert tried.count() == 1, "the other person's waits: the server is away for all"
    assert "ConnectionRefusedError" in tried.get().attempts.get().error
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    make_due()
    sending.deliver(outbox.MAIL)
    assert receivers() == ["reviewer", "second"]


def test_the_page_saves_rules_and_says_so_on_record(cast: Cast):
    client = signed_in(cast.reviewer)
    assert "Send me e-mail" in client.get(PAGE).content.decode()
    form = FORM | {"quiet_from": "20:00", "quiet_until": "07:30", "pace": "daily", "daily_at": "09:00"}
    assert "Your notifications are saved." in client.post(PAGE, form, follow=True).content.decode()
    rules = PersonalRules.objects.get()
    assert (rules.user, rules.mail, rules.events, rules.quiet_until) == (cast.reviewer, True, ["approval.asked"], time(7, 30))
    entry = AuditEntry.objects.get(action="user.changed")
    assert entry.after is not None
    assert entry.after["notifications"]["mail"] is True
    client.post(PAGE, form)
    assert AuditEntry.objects.filter(action="user.changed").count() == 1, "nothing changed"
    assert "/profile/notifications/" in client.get("/profile/").content.decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pace": "daily"}, "Say at what time."),
        ({"quiet_from": "20:00"}, "Quiet hours need a beginning and an end."),
        ({"quiet_until": "20:00"}, "Quiet hours need a beginning and an end."),
        ({"quiet_from": "25:00"}, "Enter a valid time."),
        ({"events": []}, "Choose at least one, or switch e-mail off."),
        ({"events": ["approval.invented"]}, "is not one of the available choices"),
        ({"minimum_risk": "grave"}, "is not one of the available choices"),
    ],
)
def test_the_page_says_what_is_wrong_and_keeps_nothing(cast: Cast, change: dict[str, Any], said: str):
    answer = signed_in(cast.reviewer).post(PAGE, FORM | change)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not PersonalRules.objects.exists()


def test_everybody_has_rules_of_their_own_and_signs_in_for_them(cast: Cast, client: Any):
    assert client.get(PAGE)["Location"].startswith("/accounts/login/")
    write_to(cast.second)
    signed_in(cast.reviewer).post(PAGE, FORM | {"user": str(cast.second.pk), "minimum_risk": "critical"})
    assert PersonalRules.objects.get(user=cast.second).minimum_risk == "low"
    assert PersonalRules.objects.get(user=cast.reviewer).minimum_risk == "critical"


def test_a_person_with_two_roles_is_written_to_once(cast: Cast):
    both = make_user("both", {cast.support: [Role.REVIEWER, Role.OPERATOR], cast.warehouse: [Role.REVIEWER]})
    write_to(both)
    group = [{"teams": [str(cast.warehouse.pk), str(cast.support.pk)], "count": 1}]
    make_approval(cast.support, requirements={"groups": group})
    run_all()
    assert receivers() == ["both"]


def gone(user: User, stand_in: User | None = None) -> Absence:
    day, margin = timezone.now().date(), timedelta(days=1)
    return Absence.objects.create(user=user, stand_in=stand_in, begins_on=day - margin, ends_on=day + margin)


def test_who_is_away_is_told_of_critical_risk_only(cast: Cast):
    write_to(cast.reviewer)
    write_to(cast.second)
    gone(cast.reviewer)
    make_approval(cast.support, risk="high")
    run_all()
    assert receivers() == ["second"]
    make_approval(cast.support, risk="critical")
    run_all()
    assert receivers() == ["reviewer", "second", "second"]


def test_what_waits_for_its_hour_is_not_sent_to_who_is_away_by_then(cast: Cast):
    write_to(cast.reviewer)
    make_approval(cast.support, risk="high")
    outbox.spread()
    away = gone(cast.reviewer)
    run_all()
    assert receivers() == []
    dropped = Delivery.objects.get()
    assert (dropped.state, dropped.because) == (State.DROPPED, "The person is away.")
    away.delete()
    make_approval(cast.support, risk="high")
    run_all()
    assert receivers() == ["reviewer"]


def test_what_is_given_to_who_is_away_is_told_to_who_stands_in_and_may_see_it(cast: Cast):
    for person in (cast.reviewer, cast.second, cast.stranger):
        write_to(person)
    away = gone(cast.reviewer, cast.second)
    notices.tell_assigned(make_approval(cast.support), cast.reviewer)
    outbox.spread()
    told = Delivery.objects.filter(announcement__event="approval.assigned")
    assert [delivery.user for delivery in told] == [cast.second]
    away.stand_in = cast.stranger
    away.save()
    notices.tell_assigned(make_approval(cast.support), cast.reviewer)
    outbox.spread()
    assert told.count() == 1
