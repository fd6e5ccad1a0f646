"""Who looks after an approval, and who does not want to see it yet. Neither has a say in who may decide: a claim tells the
others, a snooze empties one person's list.

Every act locks the approval, so of two at once the second sees what the first did, is told so, and changes nothing. ``seen`` is
the claim's revision on the actor's screen (0: there was none).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from agentdesk.audit.record import Actor
from agentdesk.live.push import push
from agentdesk.people.absence import away, present_for
from agentdesk.people.leaving import Left
from agentdesk.people.models import User, day_words
from approvals import access, moves, notices
from approvals.errors import Invalid, NotAllowed, NotCurrent, NotFound, Taken
from approvals.models import Approval, Claim, Snooze

LEASE = timedelta(minutes=15)  # a claim lasts so long, and can be renewed
BEFORE_EXPIRY = timedelta(minutes=15)  # what is snoozed comes back so long before its time is up
LONGEST_SNOOZE = timedelta(days=14)
MOST_SNOOZED = 500  # for one person


def row_version(approval: Approval) -> int:
    """The version of an approval's inbox row: it rises when the approval changes, and when its claim does."""
    claim = claim_of(approval)
    return approval.revision + (claim.revision if claim else 0)


def claim_of(approval: Approval) -> Claim | None:
    """The row that says who looks after it; None when nobody ever did."""
    return getattr(approval, "claim", None)


def is_held(claim: Claim | None) -> bool:
    """Whether somebody looks after it now."""
    return claim is not None and claim.user_id is not None and (claim.until is None or claim.until > timezone.now())


@transaction.atomic
def claim(approval_id: UUID | str, *, actor: Actor, seen: int, take_over: bool = False) -> Claim:
    """Take it on for :data:`LEASE`; one's own lease is renewed. ``take_over``: from whoever has it, as seen on the screen.

    Raises NotFound, NotAllowed (also for those who may not decide it), NotCurrent when it is closed, and Taken.
    """
    user, approval = _lock(approval_id, actor)
    _check_decides(user, approval)
    held = claim_of(approval)
    before = _told(held)
    is_mine = is_held(held) and held is not None and held.user_id == user.pk
    if is_mine and held is not None and held.until is None:
        return held  # assigned to them: a lease would be less
    if is_held(held) and not is_mine and not (take_over and held is not None and held.revision == seen):
        raise _taken(held)
    made = _write(approval, user=user, until=timezone.now() + LEASE, assigned_by=None)
    action = "approval.taken_over" if take_over and before["user"] not in (None, user.pk) else "approval.claimed"
    moves.enter(approval, action, actor=actor, before=before, after=_told(made))
    return made


@transaction.atomic
def release(approval_id: UUID | str, *, actor: Actor, seen: int) -> Claim:
    """Nobody looks after it any more. One gives up what is one's own, or takes back what one has assigned.

    Raises NotFound, NotAllowed, NotCurrent, and Taken when it is not as it was on the screen.
    """
    user, approval = _lock(approval_id, actor)
    held = claim_of(approval)
    if not is_held(held) or held is None:
        raise NotCurrent(approval, _("Nobody has claimed this any more."))
    if held.revision != seen:
        raise _taken(held)
    if user.pk not in (held.user_id, held.assigned_by_id):
        raise NotAllowed(_("Only who has it, or who assigned it, gives it up. You can take it over."))
    before = _told(held)
    made = _write(approval, user=None, until=None, assigned_by=None)
    moves.enter(approval, "approval.released", actor=actor, before=before, after=_told(made))
    return made


@transaction.atomic
def assign(approval_id: UUID | str, to: UUID | str, *, actor: Actor, seen: int) -> Claim:
    """Give it to somebody who may decide it, until they or the assigner give it up. Whoever has it hands it over so.

    Raises NotFound, NotAllowed, NotCurrent, Invalid at ``to``, and Taken when it is not as it was on the screen.
    """
    user, approval = _lock(approval_id, actor)
    held = claim_of(approval)
    if is_held(held) and held is not None and held.revision != seen:
        raise _taken(held)
    if not is_held(held) or held is None or held.user_id != user.pk:
        _check_decides(user, approval)
    other = _person(to)
    if other is None:
        raise Invalid({"to": [_("There is no such person.")]})
    reason = access.why_not(other, approval)
    if reason is not None:
        raise Invalid({"to": [_("%(name)s may not decide this.") % {"name": other.label}]})
    if other.pk != user.pk:
        _check_not_away(other)
    before = _told(held)
    was_mine = before["user"] == user.pk and other.pk != user.pk
    made = _write(approval, user=other, until=None, assigned_by=user)
    action = "approval.handed_over" if was_mine else "approval.assigned"
    moves.enter(approval, action, actor=actor, before=before, after=_told(made))
    if other.pk != user.pk:
        notices.tell_assigned(approval, other)
    return made


@transaction.atomic
def snooze(approval_id: UUID | str, until: datetime, *, actor: Actor) -> Snooze:
    """Keep it out of the actor's own list until then, or until it changes, or until shortly before it expires.

    Raises NotFound, NotAllowed, NotCurrent, and Invalid at ``until``.
    """
    user, approval = _lock(approval_id, actor)
    now = timezone.now()
    if not now < until <= now + LONGEST_SNOOZE:
        raise Invalid({"until": [_("Choose a time within the next %(days)d days.") % {"days": LONGEST_SNOOZE.days}]})
    if approval.expires_at is not None:
        until = min(until, approval.expires_at - BEFORE_EXPIRY)
        if until <= now:
            raise Invalid({"until": [_("This expires too soon to be put off.")]})
    if Snooze.objects.filter(user=user).exclude(approval=approval).count() >= MOST_SNOOZED:
        raise Invalid({"until": [_("You have put off %(most)d already.") % {"most": MOST_SNOOZED}]})
    made, _new = Snooze.objects.update_or_create(
        user=user, approval=approval, defaults={"until": until, "version": approval.version}
    )
    moves.enter(approval, "approval.snoozed", actor=actor, after={"user": user.pk, "until": until})
    _show_to_owner(approval)
    return made


@transaction.atomic
def wake(approval_id: UUID | str, *, actor: Actor) -> bool:
    """Put it back into the actor's own list. False: it was there. Raises NotFound and NotAllowed."""
    user, approval = _lock(approval_id, actor, closed=True)
    gone, _each = Snooze.objects.filter(user=user, approval=approval).delete()
    if not gone:
        return False
    moves.enter(approval, "approval.woken", actor=actor, after={"user": user.pk})
    _show_to_owner(approval)
    return True


@transaction.atomic
def leave(user: User, to: User | None, *, actor: Actor) -> Left:
    """``user`` has lost a role, or was switched off: what they looked after and may decide no more goes to ``to`` where ``to``
    may decide it, else to nobody; what they had put off and see no more is put off no more."""
    came = _pass_all_on(user, to, actor=actor, keeps=partial(access.reviews_for, user))
    for approval in Approval.objects.filter(snoozes__user=user).order_by("pk").select_for_update(of=["self"]):
        if not access.may_see(user, approval) and Snooze.objects.filter(user=user, approval=approval).delete()[0]:
            moves.enter(approval, "approval.woken", actor=actor, after={"user": user.pk})
    return came


@transaction.atomic
def hand_on(user: User, to: User | None, *, actor: Actor) -> Left:
    """``user`` is away from now on: what they look after goes to ``to`` where ``to`` may decide it, else to nobody, so that
    the others see it. Doing it again finds nothing."""
    return _pass_all_on(user, to, actor=actor, keeps=lambda _approval: False)


def lapse_due(limit: int = 100) -> int:
    """End the leases whose time is over, at most ``limit``; approvals that others hold are left for later."""
    with transaction.atomic():
        due = Claim.objects.filter(until__lte=timezone.now()).order_by("until").values_list("approval", flat=True)[:limit]
        lapsed = 0
        for approval in Approval.objects.filter(pk__in=list(due)).select_for_update(skip_locked=True):
            held = claim_of(approval)
            if held is None or held.until is None or held.until > timezone.now():
                continue  # renewed meanwhile
            before = _told(held)
            made = _write(approval, user=None, until=None, assigned_by=None)
            moves.enter(approval, "approval.claim_lapsed", actor=Actor.desk(), before=before, after=_told(made))
            lapsed += 1
        return lapsed


def wake_due(limit: int = 100) -> int:
    """Forget what is snoozed no longer, at most ``limit``, and show it again."""
    with transaction.atomic():
        due = Snooze.objects.filter(until__lte=timezone.now()).order_by("until").select_for_update(skip_locked=True)[:limit]
        found = {snoozed.pk: snoozed.approval_id for snoozed in due}
        Snooze.objects.filter(pk__in=found).delete()
        for approval in Approval.objects.filter(pk__in=found.values()).select_related("claim"):
            _show_to_owner(approval)
        return len(found)


def _lock(approval_id: UUID | str, actor: Actor, *, closed: bool = False) -> tuple[User, Approval]:
    if actor.user is None or actor.user.is_service:
        raise NotAllowed(_("Only people do this."))
    user = User.objects.get(pk=actor.user.pk)  # anew: the caller's object may be older than the loss of a role
    try:
        key = UUID(str(approval_id))
    except ValueError:
        raise NotFound from None
    # Without the claim: joined, it would be read as it was before the lock was waited for.
    approval = Approval.objects.visible_to(user).select_for_update().filter(pk=key).first()
    if approval is None:
        raise NotFound
    if not closed and not approval.is_pending:
        raise NotCurrent(approval, _("This does not wait any more."))
    return user, approval


def _pass_all_on(user: User, to: User | None, *, actor: Actor, keeps: Callable[[Approval], bool]) -> Left:
    """Pass on what ``user`` looks after, without what they keep."""
    came = Left()
    for approval in Approval.objects.filter(claim__user=user).order_by("pk").select_for_update(of=["self"]):
        held = Claim.objects.filter(approval=approval, user=user).first()  # anew, now that nobody else writes it
        if held is None or not approval.is_pending or keeps(approval):
            continue
        came += Left(handed_over=1) if _pass_on(approval, held, to, actor=actor) else Left(released=1)
    return came


def _pass_on(approval: Approval, held: Claim, to: User | None, *, actor: Actor) -> bool:
    """Assign what somebody holds who is gone to ``to``; False: ``to`` may not decide it, or is nobody, and it is given up. The
    caller has locked the approval."""
    before = _told(held)
    approval.claim = held
    if to is None or to.pk == held.user_id or access.why_not(to, approval) is not None:
        made = _write(approval, user=None, until=None, assigned_by=None)
        moves.enter(approval, "approval.released", actor=actor, before=before, after=_told(made))
        return False
    made = _write(approval, user=to, until=None, assigned_by=actor.user)
    moves.enter(approval, "approval.handed_over", actor=actor, before=before, after=_told(made))
    notices.tell_assigned(approval, to)
    return True


def _check_not_away(other: User) -> None:
    now = timezone.now()
    absence = away([other.pk], now).get(other.pk)
    if absence is None:
        return
    facts = {"name": other.label, "day": day_words(absence.ends_on)}
    if (instead := present_for(other, now)) is None:
        raise Invalid({"to": [_("%(name)s is away until %(day)s, and nobody stands in.") % facts]})
    raise Invalid({"to": [
        _("%(name)s is away until %(day)s. %(other)s stands in: assign it to them.") % {**facts, "other": instead.label}
    ]})  # fmt: skip


def _check_decides(user: User, approval: Approval) -> None:
    reason = access.why_not(user, approval)
    if reason is not None:
        raise NotAllowed(reason)


def _person(key: UUID | str) -> User | None:
    try:
        return User.objects.filter(pk=UUID(str(key))).first()
    except ValueError:
        return None


def _write(approval: Approval, **facts: Any) -> Claim:
    """Store who looks after it, and tell open pages. The caller has locked the approval."""
    held = claim_of(approval)
    revision = held.revision + 1 if held else 1
    made, _new = Claim.objects.update_or_create(
        approval=approval, defaults={**facts, "at": timezone.now(), "revision": revision}
    )
    approval.claim = made
    push("row", approval.pk, row_version(approval))
    push("claim", approval.pk, made.revision)
    return made


def _show_to_owner(approval: Approval) -> None:
    """Nothing of the row has changed; the page of whoever snoozed looks at its own list again."""
    push("row", approval.pk, row_version(approval))


def _told(held: Claim | None) -> dict[str, Any]:
    """A claim as the record tells it."""
    if not is_held(held) or held is None:
        return {"user": None, "until": None}
    return {"user": held.user_id, "until": held.until}


def _taken(held: Claim | None) -> Taken:
    if not is_held(held) or held is None or held.user is None:
        return Taken(_("It was given up meanwhile. Look at it again."))
    if held.until is None:
        return Taken(_("Somebody else was first: it is assigned to %(name)s.") % {"name": held.user.label})
    when = held.until.strftime("%H:%M")
    return Taken(_("Somebody else was first: %(name)s has claimed it until %(when)s UTC.") % {
        "name": held.user.label, "when": when,
    })  # fmt: skip
