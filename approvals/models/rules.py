"""What admins allow, ask about and deny."""

from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from agentdesk.ids import new_id
from agentdesk.people.models import Team


class Effect(models.TextChoices):
    """The verdict of a rule, and of an evaluation. Deny before ask before allow; nothing matches: ask."""

    ALLOW = "allow", _("Allow without asking")
    ASK = "ask", _("Ask people")
    DENY = "deny", _("Deny")


class Rule(models.Model):
    """One policy row over actions. All its parts must match: agent, action, effects and every condition."""

    class OnExpiry(models.TextChoices):
        REJECT = "reject", _("Refuse it")
        ESCALATE = "escalate", _("Ask another team too, once; then refuse it")

    class Mode(models.TextChoices):
        ACTIVE = "active", _("Active")
        SHADOW = "shadow", _("Shadow: recorded, without effect")
        OFF = "off", _("Off")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=200)
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, null=True, blank=True, related_name="rules",
        help_text=_("Applies to this team's agents; empty: to every agent of the desk."),
    )  # fmt: skip
    agent = models.CharField(max_length=64, default="*", help_text=_("Slug or pattern such as support-*."))
    action = models.CharField(max_length=200, default="*", help_text=_("Tool name, action or interrupt:<node>; * matches."))
    effects = models.JSONField(default=list, blank=True, help_text=_("Only tools with one of these effects; empty: any."))
    conditions = models.JSONField(default=list, blank=True)
    expression = models.CharField(
        max_length=500, blank=True, help_text=_("One CEL expression that must be true as well, beside all conditions.")
    )
    verdict = models.CharField(max_length=5, choices=Effect)
    mode = models.CharField(max_length=6, choices=Mode, default=Mode.ACTIVE)
    reviewer_teams = models.ManyToManyField(
        Team, blank=True, related_name="+", help_text=_("Who decides; empty: the agent's own team.")
    )
    count = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text=_("How many reviewers must agree.")
    )
    from_teams = models.PositiveSmallIntegerField(
        _("from how many different teams"), default=1, validators=[MinValueValidator(1)],
        help_text=_("Each of these teams needs somebody of its own: one person counts for one team."),
    )  # fmt: skip
    expires_after = models.DurationField(null=True, blank=True, help_text=_("Empty: the desk's default."))
    on_expiry = models.CharField(
        _("when it expires"), max_length=8, choices=OnExpiry, default=OnExpiry.REJECT,
        help_text=_("It never runs because nobody answered."),
    )  # fmt: skip
    escalate_to = models.ForeignKey(
        Team, on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        help_text=_("The other team. Its reviewers may decide from then on, and have as long as the first had."),
    )  # fmt: skip
    remind_after = models.DurationField(null=True, blank=True, help_text=_("Empty: nobody is reminded."))
    self_approval = models.BooleanField(default=False, help_text=_("The person who started the run may decide too."))
    second_factor = models.BooleanField(default=False)
    priority = models.SmallIntegerField(default=0, help_text=_("Orders what people read; never verdicts."))
    note = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["-priority", "name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(verdict__in=Effect.values), name="rule_verdict"),
            models.CheckConstraint(condition=models.Q(count__gte=1), name="rule_count"),
            models.CheckConstraint(condition=models.Q(from_teams__gte=1), name="rule_from_teams"),
            models.CheckConstraint(
                condition=models.Q(on_expiry="reject") | models.Q(escalate_to__isnull=False), name="rule_escalates_to"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def escalates(self) -> bool:
        """Whether another team is asked when it expires."""
        return self.on_expiry == self.OnExpiry.ESCALATE and self.escalate_to_id is not None

    def clean(self) -> None:
        """Raises ValidationError where the parts do not go together."""
        if self.on_expiry == self.OnExpiry.ESCALATE and self.escalate_to is None:
            raise ValidationError({"escalate_to": _("Name the team that is asked then.")})
        if self.count < self.from_teams:
            raise ValidationError({"count": _("As many people are needed as teams, at least.")})


class PolicyVersion(models.Model):
    """All active and shadow rules as they stood after one change. Its id is the policy version frozen on every call."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(auto_now_add=True)
    digest = models.CharField(max_length=71)
    rules = models.JSONField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"v{self.pk}"
