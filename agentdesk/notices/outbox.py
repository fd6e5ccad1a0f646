"""The outbox: announcements are spread into deliveries, which senders claim, settle and, when all tries were in vain, leave as
dead letters that an admin sends again."""

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from agentdesk.audit.record import Actor, record
from agentdesk.ids import new_id
from agentdesk.live.push import hint
from agentdesk.notices import subjects
from agentdesk.notices.models import Announcement, Attempt, Delivery, Event, Lane, Level, PersonalRules, Subscription
from agentdesk.notices.posting import Answer
from agentdesk.notices.subjects import Facts
from agentdesk.notices.timing import send_at
from agentdesk.notices.wording import Told
from agentdesk.people.absence import away, present_for
from agentdesk.people.models import Membership, User

DELIVER = "agentdesk.notices.tasks.deliver"
MAIL = "mail"  # the lane of all e-mail
LEASE = timedelta(minutes=2)  # for which a claim holds: far longer than a try takes
MOST_TRIES = 8  # over about eight hours
FIRST_WAIT, LONGEST_WAIT = 5.0, 6 * 3600.0  # seconds
BATCH = 200
_jitter = random.SystemRandom()

State = Delivery.State


def spread(limit: int = BATCH) -> int:
    """Work out who hears of the announcements that nobody has looked at, at most ``limit``. Returns how many those were."""
    with transaction.atomic():
        waiting = Announcement.objects.filter(spread_at__isnull=True).order_by("at")
        found = list(waiting.select_for_update(skip_locked=True)[:limit])
        if not found:
            return 0
        subscriptions = list(Subscription.objects.filter(active=True))
        lanes: set[str] = set()
        for announcement in found:
            lanes |= _spread_one(announcement, subscriptions)
    for lane in lanes:
        hint(DELIVER, lane)
    return len(found)


def _spread_one(announcement: Announcement, subscriptions: Iterable[Subscription]) -> set[str]:
    now = timezone.now()
    facts = subjects.get(announcement.kind).facts(announcement.object_id, announcement.event)
    deliveries: list[Delivery] = []
    if facts is not None:
        announcement.facts = Told.of(facts).stored()
        deliveries = [
            Delivery(announcement=announcement, subscription=each, next_at=now)
            for each in subscriptions
            if _concerns(each, announcement, facts)
        ]
        deliveries += [
            Delivery(announcement=announcement, user=rules.user, next_at=send_at(now, facts.risk, rules, rules.user.zone))
            for rules in _rules_about(announcement, facts)
        ]
    announcement.spread_at = now
    announcement.save(update_fields=["facts", "spread_at"])
    Delivery.objects.bulk_create(deliveries)
    return {MAIL if each.user_id else str(each.subscription_id) for each in deliveries if each.next_at <= now}


def _concerns(subscription: Subscription, announcement: Announcement, facts: Facts) -> bool:
    return (
        announcement.event in subscription.events
        and (subscription.team_id is None or subscription.team_id in facts.teams)
        and _is_grave_enough(facts, subscription.minimum_risk)
    )


def _rules_about(announcement: Announcement, facts: Facts) -> list[PersonalRules]:
    """Of people who want to hear of it by e-mail; nobody's where the desk has no e-mail."""
    if not settings.NOTICES_MAIL:
        return []
    members = Membership.objects.filter(team__in=facts.members_of, role=facts.role).values("user")
    if announcement.event == Event.ASSIGNED:
        whom = Q(user=announcement.person_id) | Q(user=_stand_in(announcement), user__in=members)
    else:
        whom = (Q(user__in=members) | Q(user__in=facts.people)) & ~Q(user__in=facts.omit)
    people = PersonalRules.objects.filter(
        whom, mail=True, events__contains=[announcement.event], user__is_active=True, user__kind=User.Kind.PERSON
    ).exclude(user__email="")
    wanting = [rules for rules in people.select_related("user") if _is_grave_enough(facts, rules.minimum_risk)]
    if not wanting or not waits_for_return(facts.risk):
        return wanting
    gone = away([rules.user_id for rules in wanting], timezone.now())
    return [rules for rules in wanting if rules.user_id not in gone]


def waits_for_return(risk: str) -> bool:
    """Whether people who are away are not told: of approvals, unless the risk is critical. What failed has no risk."""
    return risk not in ("", Level.CRITICAL)


def _stand_in(announcement: Announcement) -> UUID | None:
    """Who does the work now of whom something was given to; None where they are there, or nobody does."""
    person = User.objects.filter(pk=announcement.person_id).first() if announcement.person_id else None
    other = present_for(person, timezone.now()) if person else None
    return other.pk if other and other != person else None


def _is_grave_enough(facts: Facts, minimum: str) -> bool:
    return not facts.risk or Level.rank_of(facts.risk) >= Level.rank_of(minimum)


def send_test(subscription: Subscription) -> Delivery:
    """Put a test on its way, as any other delivery, and return it."""
    now = timezone.now()
    name = str(subscription.team) if subscription.team else ""
    told = Told("Test from AgentDesk", "", name, Level.LOW, "/", "", "")
    with transaction.atomic():
        announcement = Announcement.objects.create(
            key=f"test:{new_id()}", event=Event.TEST, kind="", object_id="", at=now, facts=told.stored(), spread_at=now
        )
        delivery = Delivery.objects.create(announcement=announcement, subscription=subscription, next_at=now)
        hint(DELIVER, str(subscription.pk))
    return delivery


def due_lanes() -> set[str]:
    """Places for which something is due, and that no sender is at."""
    now = timezone.now()
    due = Delivery.objects.filter(state=State.WAITING, next_at__lte=now)
    places = due.filter(subscription__isnull=False).order_by().values_list("subscription", flat=True)
    lanes = {str(pk) for pk in places.distinct()}
    if due.filter(user__isnull=False).exists():
        lanes.add(MAIL)
    return lanes - set(Lane.objects.filter(busy_until__gt=now).values_list("name", flat=True))


def enter_lane(name: str) -> bool:
    """Be the one sender at this place for :data:`LEASE`; False while there is another."""
    now = timezone.now()
    Lane.objects.get_or_create(name=name)
    free = Lane.objects.filter(Q(busy_until__isnull=True) | Q(busy_until__lte=now), name=name)
    return free.update(busy_until=now + LEASE) == 1


def leave_lane(name: str, rest: timedelta) -> None:
    """Let others in, after ``rest``."""
    Lane.objects.filter(name=name).update(busy_until=timezone.now() + rest)


def claim(deliveries: QuerySet[Delivery], limit: int) -> list[Delivery]:
    """Take those of ``deliveries`` that are due, at most ``limit``, for one try: nobody else gets them while it lasts."""
    with transaction.atomic():
        now = timezone.now()
        due = deliveries.filter(state=State.WAITING, next_at__lte=now).order_by("next_at", "pk")
        found = list(due.select_related("announcement").select_for_update(skip_locked=True, of=("self",))[:limit])
        taken = Delivery.objects.filter(pk__in=[each.pk for each in found])
        taken.update(next_at=now + LEASE, tries=F("tries") + 1)
    for each in found:
        each.tries += 1
    return found


def settle(delivery: Delivery, answer: Answer) -> None:
    """Write down what a try brought: sent, to be tried again, or a dead letter. A try that took so long that another one began
    is only logged, unless it got through."""
    now = timezone.now()
    changes: dict[str, object] = {"next_at": now + wait_after(delivery.tries, answer)}
    if answer.ok:
        changes = {"state": State.SENT, "ended_at": now, "because": ""}
    elif answer.refused or delivery.tries >= MOST_TRIES:
        said = answer.error or f"HTTP {answer.code}"
        changes = {"state": State.DEAD, "ended_at": now, "because": said[:300]}
    mine = Delivery.objects.filter(pk=delivery.pk, state=State.WAITING)
    with transaction.atomic():
        (mine if answer.ok else mine.filter(tries=delivery.tries)).update(**changes)
        Attempt.objects.create(
            delivery=delivery, at=now, ok=answer.ok, code=answer.code, milliseconds=answer.milliseconds, answer=answer.text,
            error=answer.error,
        )  # fmt: skip


def wait_after(tries: int, answer: Answer) -> timedelta:
    """How long to wait after so many tries: four times longer each time, give or take a fifth, no less than was asked for."""
    seconds = min(FIRST_WAIT * 4 ** (tries - 1), LONGEST_WAIT)
    return timedelta(seconds=max(seconds * _jitter.uniform(0.8, 1.2), min(answer.retry_after, LONGEST_WAIT)))


def drop(deliveries: QuerySet[Delivery], because: str) -> int:
    """These are not sent any more. Returns how many were waiting."""
    return deliveries.filter(state=State.WAITING).update(state=State.DROPPED, ended_at=timezone.now(), because=because)


def replay(delivery_id: UUID, *, actor: Actor) -> bool:
    """Send once more what was sent, dropped or is a dead letter, under the same id. False: it is on its way already."""
    with transaction.atomic():
        now = timezone.now()
        ended = Delivery.objects.filter(pk=delivery_id).exclude(state=State.WAITING)
        if not ended.update(state=State.WAITING, tries=0, next_at=now, ended_at=None, because=""):
            return False
        delivery = Delivery.objects.select_related("announcement", "subscription").get(pk=delivery_id)
        team = delivery.subscription.team_id if delivery.subscription else None
        record(
            "delivery.replayed", actor=actor, object_type="delivery", object_id=delivery.pk, object_label=str(delivery),
            team_id=team, after={"event": delivery.announcement.event},
        )  # fmt: skip
        hint(DELIVER, str(delivery.subscription_id) if delivery.subscription_id else MAIL)
    return True


def prune(limit: int = 5_000) -> int:
    """Forget announcements with their deliveries and attempts after NOTICES_KEEP_DAYS, at most ``limit``; those with something
    still waiting stay, and so do those of approvals that have time left: they say that it was told. Returns how many."""
    oldest: datetime = timezone.now() - timedelta(days=settings.NOTICES_KEEP_DAYS)
    old = Announcement.objects.filter(spread_at__lt=oldest).exclude(deliveries__state=State.WAITING)
    kept = Q(event=Event.DUE, facts__due_at__gt=oldest.isoformat())
    found = list(old.exclude(kept).order_by("spread_at").values_list("pk", flat=True)[:limit])
    Announcement.objects.filter(pk__in=found).delete()
    return len(found)
