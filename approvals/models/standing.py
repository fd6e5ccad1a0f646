"""Approvals that a person gives in advance, for calls that are like one another."""

from decimal import Decimal
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.models import Team, User
from approvals.models.approvals import Approval
from approvals.states import Risk


class StandingApprovalQuerySet(models.QuerySet["StandingApproval"]):
    def in_force(self) -> Self:
        """Not revoked, not over, not waiting for somebody to take it over, and with something left."""
        return self.filter(
            Q(budget__isnull=True) | Q(spent__lt=F("budget")), revoked_at__isnull=True, expires_at__gt=timezone.now(),
            uses__lt=F("most_uses"), offered_to__isnull=True,
        )  # fmt: skip

    def visible_to(self, user: User) -> Self:
        """One's own, those that are offered to one, and those of one's teams."""
        if user.is_superuser and user.is_active:
            return self
        return self.filter(Q(owner=user) | Q(offered_to=user) | Q(team__in=user.team_ids()))


class StandingApproval(models.Model):
    """``owner`` approves calls of one tool of one agent in advance: with these ``args``, encoded, under these ``conditions``
    (those of rules, all of which must hold), of this ``risk`` or less, so many times, until then, and together up to a
    ``budget`` of the argument ``budget_at``. It lets no call run that the owner could not have approved alone. When the owner
    leaves it may be offered to somebody: nothing uses it then, and whoever takes it over gets one of their own,
    ``taken_from`` this one."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="standing_approvals", help_text=_("The agent's team.")
    )
    agent = models.SlugField(max_length=64)
    action = models.CharField(_("tool"), max_length=200)
    code_version = models.CharField(
        max_length=71, blank=True, editable=False, help_text=_("Of the tool's schema and description then; another asks.")
    )
    args = models.JSONField(
        _("arguments"), default=dict, blank=True, help_text=_('By name, exactly these: {"currency": "EUR"}.')
    )
    conditions = models.JSONField(default=list, blank=True)
    risk = models.CharField(
        _("risk at most"), max_length=8, choices=[(risk.value, risk.label) for risk in Risk if risk != Risk.CRITICAL],
        default=Risk.LOW,
    )  # fmt: skip
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+",
        help_text=_("Who approves: a reviewer, who could approve each of these calls alone."),
    )  # fmt: skip
    made_from = models.ForeignKey(Approval, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="+")
    made_by_label = models.CharField(_("made by"), max_length=200, editable=False)
    reason = models.CharField(max_length=300)
    expires_at = models.DateTimeField(_("until"))
    most_uses = models.PositiveIntegerField(_("uses at most"))
    uses = models.PositiveIntegerField(default=0, editable=False)
    budget_at = models.CharField(_("argument of the budget"), max_length=200, blank=True, help_text=_("Such as amount."))
    budget = models.DecimalField(
        max_digits=20, decimal_places=4, null=True, blank=True, help_text=_("What all its calls together may come to.")
    )
    spent = models.DecimalField(max_digits=20, decimal_places=4, default=Decimal(0), editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by_label = models.CharField(max_length=200, blank=True, editable=False)
    revoked_because = models.CharField(max_length=200, blank=True, editable=False)
    offered_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    offered_by_label = models.CharField(max_length=200, blank=True, editable=False)
    offered_at = models.DateTimeField(null=True, editable=False)
    taken_from = models.OneToOneField("self", on_delete=models.PROTECT, null=True, editable=False, related_name="taken_over")

    objects = StandingApprovalQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(uses__lte=F("most_uses")), name="standing_uses"),
            models.CheckConstraint(condition=Q(budget__isnull=True) | Q(spent__lte=F("budget")), name="standing_budget"),
            models.CheckConstraint(condition=Q(budget__isnull=True) | ~Q(budget_at=""), name="standing_budget_at"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["agent", "action"], name="standing_in_force", condition=Q(revoked_at__isnull=True)),
            models.Index(fields=["owner"], name="standing_owner"),
            models.Index(fields=["offered_to"], name="standing_offered", condition=Q(offered_to__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.action} · {self.agent}"

    @property
    def is_in_force(self) -> bool:
        """Whether a call may still use it, as far as the row alone says."""
        return self.is_open and self.offered_to_id is None

    @property
    def is_offered(self) -> bool:
        """Whether somebody is asked to take it over."""
        return self.is_open and self.offered_to_id is not None

    @property
    def is_open(self) -> bool:
        """Whether something of it is left."""
        has_budget = self.budget is None or self.spent < self.budget
        return self.revoked_at is None and self.expires_at > timezone.now() and self.uses < self.most_uses and has_budget


class StandingUse(models.Model):
    """One approval that a standing approval gave."""

    approval = models.OneToOneField(Approval, on_delete=models.PROTECT, primary_key=True, related_name="given_by")
    standing = models.ForeignKey(StandingApproval, on_delete=models.PROTECT, related_name="used")
    amount = models.DecimalField(max_digits=20, decimal_places=4, null=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-at"]

    def __str__(self) -> str:
        return str(self.approval_id)
