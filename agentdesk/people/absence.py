"""Somebody is away for some days, and somebody stands in. Nobody gets a right by it: who stands in decides what they may decide
anyway. What an absence means for the work is for others to say, who listen to :data:`began`."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor, record
from agentdesk.people.leaving import Left
from agentdesk.people.models import Absence, Membership, Role, User

# Sent inside the transaction that notes that an absence has begun, once for each. Receivers return a :class:`Left`.
# provides: absence (Absence), actor (Actor)
began = Signal()

LONGEST = timedelta(days=366)
MARGIN = timedelta(days=1)  # more than any two zones are apart


@dataclass(frozen=True, slots=True)
class Wanted:
    """From the first day to the last one, both whole; ``stand_in`` may be None."""

    begins_on: date
    ends_on: date
    stand_in: User | None = None


def away(ids: Collection[UUID], now: datetime) -> dict[UUID, Absence]:
    """Who of ``ids`` is away at this moment, each with the absence. One query."""
    day = now.date()
    near = _planned(ids).filter(begins_on__lte=day + MARGIN, ends_on__gte=day - MARGIN)
    return {absence.user_id: absence for absence in near if absence.holds(now)}


def is_away(user: User, now: datetime) -> bool:
    """Whether somebody is away at this moment."""
    return user.pk in away([user.pk], now)


def coming(ids: Collection[UUID], first: date, last: date) -> list[Absence]:
    """The absences of ``ids`` that touch these days, in their order. One query."""
    return list(_planned(ids).filter(begins_on__lte=last, ends_on__gte=first).order_by("begins_on", "user__username"))


def present_for(user: User, now: datetime) -> User | None:
    """Who does somebody's work now: the person, or who stands in, or in turn for them; None where that leads to nobody."""
    seen: set[UUID] = set()
    while user.is_active and user.pk not in seen:
        seen.add(user.pk)
        absence = away([user.pk], now).get(user.pk)
        if absence is None:
            return user
        if absence.stand_in is None:
            return None
        user = absence.stand_in
    return None


def stand_ins(user: User) -> QuerySet[User]:
    """Who could stand in: the other active people who review where ``user`` does."""
    teams = Membership.objects.filter(user=user, role=Role.REVIEWER).values("team")
    beside = Membership.objects.filter(team__in=teams, role=Role.REVIEWER).values("user")
    people = User.objects.filter(pk__in=beside, is_active=True, kind=User.Kind.PERSON)
    return people.exclude(pk=user.pk).order_by("first_name", "username")


def may_enter(actor: User | None, user: User) -> bool:
    """Whether ``actor`` says when ``user`` is away: the person, admins of a team of theirs, superusers."""
    if actor is None or not actor.is_active or actor.is_service or user.is_service:
        return False
    if actor.pk == user.pk or actor.is_superuser:
        return True
    return bool(actor.team_ids(Role.ADMIN) & user.team_ids())


@transaction.atomic
def enter(user: User, wanted: Wanted, *, actor: Actor) -> Absence:
    """``user`` will be away. Raises PermissionDenied, and ValidationError by field."""
    if not may_enter(actor.user, user):
        raise PermissionDenied
    user, wanted = locked(user, wanted)
    if errors := problems(user, wanted):
        raise ValidationError(errors)
    made = Absence.objects.create(
        user=user, begins_on=wanted.begins_on, ends_on=wanted.ends_on, stand_in=wanted.stand_in, made_by=actor.user
    )
    _enter("absence.entered", made, actor, after=_told(made))
    return made


def locked(user: User, wanted: Wanted) -> tuple[User, Wanted]:
    """Both people as they are by now, until the end of the transaction: one absence of a person after the other, and none of
    who is to stand in meanwhile."""
    involved = {user.pk, wanted.stand_in.pk if wanted.stand_in else user.pk}
    found = User.objects.select_for_update(no_key=True).filter(pk__in=involved).order_by("pk")
    people = {person.pk: person for person in found}
    return people[user.pk], replace(wanted, stand_in=people[wanted.stand_in.pk] if wanted.stand_in else None)


@transaction.atomic
def cancel(absence_id: UUID, *, actor: Actor) -> bool:
    """End an absence now, or take it back before it begins. False: it had ended. What was handed on stays where it is. Raises
    Absence.DoesNotExist and PermissionDenied."""
    absence = Absence.objects.select_for_update(of=["self"]).select_related("user").get(pk=absence_id)
    if not may_enter(actor.user, absence.user):
        raise PermissionDenied
    now = timezone.now()
    if absence.cancelled_at is not None or absence.ends_on < _today(absence.user, now):
        return False
    absence.cancelled_at = now
    absence.save(update_fields=["cancelled_at"])
    _enter("absence.cancelled", absence, actor, before=_told(absence), after={"had_begun": absence.begun_at is not None})
    return True


def begin_due(limit: int = 100) -> int:
    """Have handed on what people look after whose absence has begun, each absence once, at most ``limit``. Returns how many."""
    now = timezone.now()
    due = Absence.objects.filter(cancelled_at=None, begun_at=None, begins_on__lte=now.date() + MARGIN)
    due = due.filter(ends_on__gte=now.date() - MARGIN, user__is_active=True).select_related("user")
    found = [absence.pk for absence in due.order_by("begins_on")[:limit] if absence.holds(now)]
    return sum(_begin(absence_id, now) for absence_id in found)


@transaction.atomic
def _begin(absence_id: UUID, now: datetime) -> bool:
    waiting = Absence.objects.filter(pk=absence_id, cancelled_at=None, begun_at=None)
    absence = waiting.select_for_update(of=["self"], skip_locked=True).select_related("user", "stand_in").first()
    if absence is None or not absence.holds(now):
        return False
    absence.begun_at = now
    absence.save(update_fields=["begun_at"])
    actor = Actor.desk()
    answers: list[Any] = [answer for _receiver, answer in began.send(sender=Absence, absence=absence, actor=actor)]
    came = sum(answers, Left())
    _enter("absence.began", absence, actor, after={"handed_over": came.handed_over, "released": came.released})
    return True


def problems(user: User, wanted: Wanted) -> dict[str, list[str]]:
    """What is wrong with such an absence, by field; empty when nothing is."""
    errors: dict[str, list[str]] = {}
    if not user.is_active or user.is_service:
        errors["user"] = [_("Only people who are there can be away.")]
    if wanted.begins_on < _today(user, timezone.now()):
        errors["begins_on"] = [_("This day is over.")]
    if wanted.ends_on < wanted.begins_on:
        errors["ends_on"] = [_("This is before the first day.")]
    elif wanted.ends_on - wanted.begins_on >= LONGEST:
        errors["ends_on"] = [_("At most %(days)d days.") % {"days": LONGEST.days}]
    elif overlap := coming([user.pk], wanted.begins_on, wanted.ends_on):
        days = {"from": overlap[0].begins_on.isoformat(), "to": overlap[0].ends_on.isoformat()}
        errors.setdefault("begins_on", []).append(_("Another absence is from %(from)s to %(to)s.") % days)
    if wanted.stand_in is not None and (reason := _why_not_stand_in(wanted.stand_in, user, wanted)):
        errors["stand_in"] = [reason]
    return errors


def _why_not_stand_in(other: User, user: User, wanted: Wanted) -> str | None:
    name = {"name": other.label}
    if other.pk == user.pk:
        return _("Choose somebody else.")
    if other.is_service:
        return _("A service account never decides.")
    if not other.is_active:
        return _("The account of %(name)s is switched off.") % name
    if not user.team_ids(Role.REVIEWER) & other.team_ids(Role.REVIEWER):
        return _("%(name)s reviews in none of the same teams.") % name
    if coming([other.pk], wanted.begins_on, wanted.ends_on):
        return _("%(name)s is away then too.") % name
    return None


def _planned(ids: Collection[UUID]) -> QuerySet[Absence]:
    return Absence.objects.filter(user__in=list(ids), cancelled_at=None).select_related("user", "stand_in")


def _today(user: User, now: datetime) -> date:
    return now.astimezone(user.zone).date()


def _told(absence: Absence) -> dict[str, Any]:
    return {
        "begins_on": absence.begins_on.isoformat(), "ends_on": absence.ends_on.isoformat(), "stand_in": absence.stand_in_id,
    }  # fmt: skip


def _enter(action: str, absence: Absence, actor: Actor, *, before: Any = None, after: Any = None) -> None:
    record(
        action, actor=actor, object_type="user", object_id=absence.user_id, object_label=absence.user.label, before=before,
        after=after,
    )  # fmt: skip
