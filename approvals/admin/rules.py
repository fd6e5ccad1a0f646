"""Rules: what agents may do, what people are asked about, what nobody may do."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agentdesk.admin_site import TeamScoped, administered
from agentdesk.audit.record import Actor, record
from agentdesk.digests import digest
from agentdesk.people.models import Team, User
from approvals.admin.conditions import FACTS, ConditionsField
from approvals.admin.tools import tools_of
from approvals.admin.trying import known_tools, preview, preview_page, try_page
from approvals.models import Rule
from approvals.models.rules import Effect as Verdict
from approvals.models.tools import Effect
from approvals.policy import expressions
from approvals.policy.agreement import agreement
from approvals.policy.conditions import problems_of_all
from approvals.policy.lint import Finding, lint, lint_rule
from approvals.policy.versions import current, publish, snapshot


class Suggesting(forms.TextInput):
    """A text input that offers known values and takes others too, such as patterns."""

    known: "list[str]" = []

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        list_id = f"{name}-known"
        whole = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        return whole + render_to_string("admin/approvals/_known.html", {"id": list_id, "known": self.known})


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    request: HttpRequest

    agent = forms.CharField(
        label=_("Agent"),
        max_length=64,
        initial="*",
        widget=Suggesting,
        help_text=_("Its slug, a pattern such as support-*, or * for every agent."),
    )
    action = forms.CharField(
        label=_("Tool"),
        max_length=200,
        initial="*",
        widget=Suggesting,
        help_text=_("Its name, a pattern, interrupt:NODE for an agent's own question, or * for everything."),
    )
    conditions = ConditionsField(
        label=_("Conditions"),
        required=False,
        help_text=_(
            "All must hold. Several values of “is one of” are separated by commas. None: the rule always applies. Beside"
            " arguments: @time is between 09:00-17:00, @weekday is one of mon, tue; @count.1h (calls of this tool by this agent"
            " in the last hour, this one included), @count.run, @sum.1d.amount; @confidence (to ask or deny only)."
        ),
    )
    expression = forms.CharField(
        label=_("Expression (CEL)"),
        required=False,
        max_length=expressions.LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_(
            "For what conditions cannot say; must be true as well. Such as number(args.amount) > 200 && args.currency !="
            " 'EUR', or args.lines.exists(x, x.price > 100). Names: args, input, agent, tool, effect, egress, risk,"
            ' confidence, time, weekday, count["1h"], sum["1d.amount"]. An error, or a value that is missing, counts against'
            " letting through."
        ),
    )
    effects = forms.MultipleChoiceField(
        label=_("Effects"),
        required=False,
        choices=Effect.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Only tools with one of these effects. None: any."),
    )
    verdict = forms.ChoiceField(label=_("Verdict"), choices=Verdict.choices, widget=forms.RadioSelect)
    hours = forms.FloatField(
        label=_("Expires after (hours)"),
        required=False,
        min_value=0.01,
        max_value=24 * 365,
        help_text=_("When nobody has decided by then. Empty: the desk's default."),
    )
    remind_hours = forms.FloatField(
        label=_("Remind after (hours)"), required=False, min_value=0.01, max_value=24 * 365,
        help_text=_("Once, when nobody has decided by then. Empty: never."),
    )  # fmt: skip
    why = forms.CharField(
        label=_("Reason for this change"), required=False, max_length=300, help_text=_("Kept with the policy version.")
    )

    class Meta:
        model = Rule
        fields = [
            "name", "team", "agent", "action", "effects", "conditions", "expression", "verdict", "mode",
            "reviewer_teams", "count", "from_teams", "on_expiry", "escalate_to", "self_approval", "second_factor", "priority",
            "note",
        ]  # fmt: skip
        widgets = {"reviewer_teams": forms.CheckboxSelectMultiple}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_known = Rule.objects.filter(pk=self.instance.pk).exists()
        self.before = snapshot(self.instance) if is_known else None
        if self.instance.expires_after:
            self.initial["hours"] = self.instance.expires_after / timedelta(hours=1)
        if self.instance.remind_after:
            self.initial["remind_hours"] = self.instance.remind_after / timedelta(hours=1)
        if "team" in self.fields:  # nothing to choose where the rule is only read
            self._suggest()
            self._offer_teams()

    def _suggest(self) -> None:
        tools = tools_of(self.request)
        self.fields["agent"].widget.known = sorted({tool.agent for tool in tools})
        self.fields["action"].widget.known = sorted({tool.name for tool in tools})
        paths = {name for tool in tools for name in tool.schema.get("properties", {})}
        self.fields["conditions"].widget.paths = [*sorted(paths), *FACTS]

    def _offer_teams(self) -> None:
        """A team's admin writes rules for their teams; only a superuser for the whole desk."""
        own: Any = self.fields["team"]
        for choice in (own, self.fields["escalate_to"]):
            widget: Any = choice.widget
            widget.can_add_related = widget.can_change_related = widget.can_view_related = False
        teams = administered(self.request)
        if teams is None:
            return
        own.queryset = Team.objects.filter(pk__in=teams)
        own.required, own.empty_label = True, None if len(teams) == 1 else own.empty_label
        chosen = self.before["reviewer_teams"] if self.before else []
        reviewers: Any = self.fields["reviewer_teams"]
        asked_then: Any = self.fields["escalate_to"]
        asked_then.queryset = Team.objects.filter(Q(pk__in=teams) | Q(pk=self.instance.escalate_to_id))
        reviewers.queryset = Team.objects.filter(Q(pk__in=teams) | Q(pk__in=chosen))

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        from_teams, teams = self.cleaned_data.get("from_teams") or 1, self.cleaned_data.get("reviewer_teams")
        if teams is not None and from_teams > max(1, len(teams)):
            self.add_error("from_teams", gettext("There are not so many teams that review."))
        conditions = self.cleaned_data.get("conditions")
        if conditions and self.cleaned_data.get("verdict") == Verdict.ALLOW:
            found = problems_of_all(conditions, allows=True)
            if found:
                self.add_error("conditions", found)
        expression = self.cleaned_data.get("expression")
        if expression:
            wrong = expressions.problems(expression, allows=self.cleaned_data.get("verdict") == Verdict.ALLOW)
            if wrong:
                self.add_error("expression", wrong)
        return cleaned

    def candidate(self) -> dict[str, Any]:
        """The rule as it would be in force, of a valid form that is not saved."""
        self._set_times()
        return snapshot(self.instance, self.cleaned_data["reviewer_teams"])

    def _set_times(self) -> None:
        for name, field in (("expires_after", "hours"), ("remind_after", "remind_hours")):
            hours = self.cleaned_data[field]
            setattr(self.instance, name, None if hours is None else timedelta(hours=hours))

    def save(self, commit: bool = True) -> Rule:
        self._set_times()
        rule: Rule = super().save(commit)
        return rule


@admin.register(Rule)
class RuleAdmin(TeamScoped):
    form = RuleForm
    list_display = ["name", "agent", "action", "verdict", "mode", "team", "priority"]
    list_filter = ["verdict", "mode"]
    list_select_related = ["team"]
    search_fields = ["name", "agent", "action"]
    actions = ["promote"]
    fieldsets = [
        (None, {"fields": ["name", "team", "agent", "action", "conditions", "verdict"]}),
        (
            _("When people are asked"),
            {
                "fields": [
                    "reviewer_teams",
                    "count",
                    "from_teams",
                    "hours",
                    "on_expiry",
                    "escalate_to",
                    "remind_hours",
                    "self_approval",
                    "second_factor",
                ]
            },
        ),
        (_("More"), {"fields": ["mode", "effects", "expression", "priority", "note", "why"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """Their teams' rules, and those of the whole desk to read."""
        teams = administered(request)
        rules = Rule.objects.all()
        return rules if teams is None else rules.filter(Q(team__in=teams) | Q(team=None))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or (obj.team_id is None and self.has_module_permission(request))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Where the rule is only read, the model's own fields take the place of the form's."""
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        read = {"hours": ["expires_after"], "remind_hours": ["remind_after"], "why": []}
        return [
            (title, {"fields": [shown for name in options["fields"] for shown in read.get(str(name), [name])]})
            for title, options in self.fieldsets
        ]

    def get_urls(self) -> Any:
        page = self.admin_site.admin_view(lambda request: try_page(request, self))
        return [path("try/", page, name="approvals_rule_try"), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if request.method == "POST" and "_preview" in request.POST:
            return self._preview(request, object_id)
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **self._standing(object_id)})

    def _preview(self, request: HttpRequest, object_id: str | None) -> HttpResponse:
        """What the rule would do, before it is saved. Nothing is written."""
        rule = None if object_id is None else self.get_object(request, object_id)
        allowed = self.has_add_permission(request) if object_id is None else self.has_change_permission(request, rule)
        if not allowed or (object_id is not None and rule is None):
            raise PermissionDenied
        form = self.get_form(request, rule, change=rule is not None)(request.POST, instance=rule)
        shown = preview(request, form.candidate()) if form.is_valid() else None
        return preview_page(self, request, rule, form, shown)

    def _standing(self, object_id: str | None) -> dict[str, Any]:
        """For a shadow rule: how often people decided as it would have."""
        rule = None if object_id is None else self.model.objects.filter(pk=object_id, mode=Rule.Mode.SHADOW).first()
        return {} if rule is None else {"shadow": rule, "agreement": agreement(rule)}

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        findings = self._findings(request)
        return super().changelist_view(request, {**(extra_context or {}), "findings": findings})

    def _findings(self, request: HttpRequest) -> list[Finding]:
        mine = {str(pk) for pk in self.get_queryset(request).values_list("pk", flat=True)}
        return [finding for finding in lint(current()[1], known_tools(request)) if finding.rule in mine]

    @admin.action(description=_("Make shadow rules active"), permissions=["change"])
    def promote(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        """Put shadow rules in force, each with its own entry and policy version."""
        for rule in queryset.filter(mode=Rule.Mode.SHADOW):
            if not self.has_change_permission(request, rule):
                messages.error(request, gettext("“%(name)s” belongs to the whole desk.") % {"name": rule.name})
                continue
            with transaction.atomic():
                before = snapshot(rule)
                rule.mode = Rule.Mode.ACTIVE
                rule.save(update_fields=["mode", "updated_at"])
                _put_in_force(request, rule, before, snapshot(rule), gettext("promoted: %(name)s") % {"name": rule.name})
            messages.success(request, gettext("“%(name)s” is in force.") % {"name": rule.name})

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return type("RuleForm", (super().get_form(request, obj, change, **kwargs),), {"request": request})

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The last step of saving: only now the rule has its reviewers."""
        super().save_related(request, form, formsets, change)
        rule = Rule.objects.get(pk=form.instance.pk)
        _put_in_force(request, rule, form.before, snapshot(rule), form.cleaned_data["why"])
        _warn(request, rule)

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        before, pk = snapshot(obj), obj.pk
        super().delete_model(request, obj)
        obj.pk = pk
        _put_in_force(request, obj, before, None, "")

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        for rule in queryset:
            self.delete_model(request, rule)


def _put_in_force(
    request: HttpRequest, rule: Rule, before: dict[str, Any] | None, after: dict[str, Any] | None, why: str
) -> None:
    """Publish the rules as they are now and write down who changed what."""
    if digest(before) == digest(after):  # to Python, 1 and True are equal
        return
    verb = "created" if before is None else "deleted" if after is None else "changed"
    author = request.user if isinstance(request.user, User) else None
    version = publish(author, why or f"{verb}: {rule.name}")
    record(
        f"rule.{verb}", actor=Actor.from_request(request, "admin"), object_type="rule", object_id=rule.pk,
        object_label=rule.name, team_id=rule.team_id, before=before, after=after, policy_version=version.pk,
    )  # fmt: skip


def _warn(request: HttpRequest, rule: Rule) -> None:
    """Say what looks wrong: a misspelt tool in a rule that denies would let everything through unseen."""
    if rule.mode != Rule.Mode.OFF:
        for finding in lint_rule(snapshot(rule), current()[1], known_tools(request)):
            messages.warning(request, finding.text)
