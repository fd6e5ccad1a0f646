"""Rules tried before they are in force: on one call, and on the calls of the last days."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from agentdesk.admin_site import administered
from approvals import tools
from approvals.admin.tools import tools_of
from approvals.models import Evaluation, Tool
from approvals.models.rules import Effect as Verdict
from approvals.policy.evaluate import Facts, ReadyRule, RuleSnapshot, evaluate, tallies_for
from approvals.policy.fences import scope_problems
from approvals.policy.lint import Known, lint_rule
from approvals.policy.measure import measure
from approvals.policy.origins import KINDS, Found, Origin, Origins
from approvals.policy.replay import DAYS, Kind, facts_of, past_calls, replay, with_rule
from approvals.policy.versions import current

SHOWN = 10  # examples of one kind of change


class JsonText(forms.CharField):
    """JSON typed as text."""

    widget = forms.Textarea

    def __init__(self, *, kind: type, wrong: "str | Promise", **options: Any) -> None:
        super().__init__(**options)
        self.kind, self.wrong = kind, wrong

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValidationError(_("This is not JSON: %(why)s"), params={"why": str(error)}) from error
        if not isinstance(plain, self.kind):
            raise ValidationError(str(self.wrong))
        return plain

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) or value is None else json.dumps(value, indent=2, ensure_ascii=False)


class TryForm(forms.Form):
    """One call, as an agent would make it."""

    tool = forms.ModelChoiceField(label=_("Tool"), queryset=Tool.objects.none())
    args = JsonText(
        label=_("Arguments"), kind=dict, wrong=_("Arguments are a JSON object such as {\"amount\": 20}."),
        help_text=_("As JSON, such as {\"amount\": 20}."), initial="{}",
    )  # fmt: skip
    run_input = JsonText(
        label=_("The run's input"), kind=object, wrong="", required=False,
        help_text=_("As JSON; only needed where a rule looks at @input."),
    )  # fmt: skip

    at = forms.DateTimeField(
        label=_("When"), required=False,
        help_text=_("In UTC, such as 2026-11-22 18:30. Empty: now. What rules count is counted up to then."),
    )  # fmt: skip
    confidence = forms.FloatField(
        label=_("The agent's confidence"), required=False, min_value=0, max_value=1,
        help_text=_("Between 0 and 1; only needed where a rule looks at @confidence."),
    )  # fmt: skip

    origins = JsonText(
        label=_("Where the values come from"), kind=dict, required=False,
        wrong=_("Write an object such as {\"to\": \"untrusted\"}."),
        help_text=_(
            "Such as {\"to\": \"untrusted\", \"id\": \"record\"}; one of untrusted, tool, input, record, person, model. What "
            "is not named cannot be told."
        ),
    )  # fmt: skip
    scope = JsonText(
        label=_("What the run is about"), kind=dict, required=False, wrong=_("Write an object such as {\"customer\": 17}."),
        help_text=_("Such as {\"customer\": 17}; only needed where the tool's arguments are tied to a scope."),
    )  # fmt: skip

    def __init__(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        teams = administered(request)
        choice: Any = self.fields["tool"]
        choice.queryset = Tool.objects.all() if teams is None else Tool.objects.filter(team__in=teams)

    def clean_origins(self) -> Origins | None:
        said = self.cleaned_data["origins"]
        if said is None:
            return None
        if unknown := [str(kind) for kind in said.values() if kind not in KINDS]:
            named = {"kind": unknown[0], "known": ", ".join(KINDS)}
            raise ValidationError(_("“%(kind)s” is none of: %(known)s."), params=named)
        values = [Origin(tuple(path.split(".")), () if kind == "model" else (Found(kind),)) for path, kind in said.items()]
        return Origins(tuple(values), exposed=bool({"untrusted", "tool"} & set(said.values())))

    def clean_scope(self) -> dict[str, Any]:
        scope = self.cleaned_data["scope"] or {}
        if wrong := scope_problems(scope, None):
            raise ValidationError(wrong)
        return dict(scope)

    def facts(self) -> Facts:
        tool: Tool = self.cleaned_data["tool"]
        return Facts(
            agent=tool.agent, team_id=tool.team_id, action=tool.name, args=self.cleaned_data["args"], effect=tool.effect,
            egress=tool.egress, risk=tool.risk, tool_known=tool.labels_from != "run", schema_changed=tool.is_changed,
            schema_version=tool.schema_version, run_input=self.cleaned_data["run_input"],
            at=self.cleaned_data["at"] or timezone.now(), zone=settings.DESK_TIME_ZONE,
            confidence=self.cleaned_data["confidence"], origins=self.cleaned_data["origins"],
            bounds=tools.bounds_of(tool, scope=self.cleaned_data["scope"]),
        )  # fmt: skip


def try_page(request: HttpRequest, admin: Any) -> HttpResponse:
    """One call, typed or taken from the record, and what the rules in force say about it. Nothing is recorded."""
    if not admin.has_module_permission(request):
        raise PermissionDenied
    recorded = _recorded(request)
    past = facts_of(recorded.facts) if recorded is not None else None
    given = request.GET if "tool" in request.GET else None
    form = TryForm(request, given, initial=_initial(past))
    version, rules = current()
    facts = form.facts() if given is not None and form.is_valid() else past
    verdict = None if facts is None else evaluate(_counted(facts, recorded), rules)
    context = {
        **admin.admin_site.each_context(request), "opts": admin.opts, "title": _("Try the rules on a call"), "form": form,
        "facts": facts, "verdict": verdict, "said": None if verdict is None else VERDICTS[verdict.effect], "version": version,
        "media": admin.media + form.media,
    }  # fmt: skip
    return TemplateResponse(request, "admin/approvals/rule/try.html", context)


VERDICTS = {
    Verdict.ALLOW: _("It would run without asking."),
    Verdict.ASK: _("People would be asked."),
    Verdict.DENY: _("It would be denied."),
}


def _counted(facts: Facts, recorded: Evaluation | None) -> Facts:
    """The facts with what rules count, as the record has it; a ``recorded`` call keeps what was counted then, and is of its
    run."""
    rules = [ReadyRule.of(rule) for rule in current()[1]]
    missing = {tally for tally in tallies_for(facts, rules) if tally.path not in facts.tallies}
    if not missing or facts.at is None:
        return facts
    source, source_ref = (recorded.source, recorded.source_ref) if recorded is not None else ("", "")
    found = measure(facts, missing, source=source, source_ref=source_ref, at=facts.at, before=facts.at)
    return replace(facts, tallies={**found, **facts.tallies})


def _recorded(request: HttpRequest) -> Evaluation | None:
    """The evaluation that the address names, where the user administers its team; none where its facts were erased."""
    try:
        row = Evaluation.objects.filter(pk=UUID(request.GET.get("evaluation", ""))).first()
    except ValueError:
        return None
    if row is None or not row.facts:
        return None
    teams = administered(request)
    return row if teams is None or facts_of(row.facts).team_id in teams else None


def _initial(facts: Facts | None) -> dict[str, Any]:
    if facts is None:
        return {}
    tool = Tool.objects.filter(agent=facts.agent, name=facts.action).first()
    return {"tool": tool, "args": dict(facts.args), "run_input": facts.run_input, "at": facts.at,
            "confidence": facts.confidence, "scope": dict(facts.bounds.scope) or None,
            "origins": {".".join(one.at): one.kind for one in facts.origins.values} if facts.origins else None}  # fmt: skip


def preview(request: HttpRequest, candidate: RuleSnapshot) -> dict[str, Any]:
    """For a template: what the rule, put in force, would have changed, and what looks wrong about it."""
    rules = list(current()[1])
    then = with_rule(rules, candidate)
    calls, cut = past_calls(administered(request))
    result = replay(calls, rules, then, cut=cut)
    return {
        "days": DAYS, "replay": result, "kinds": [(kind, sentence(kind), kind.changes[:SHOWN]) for kind in result.kinds],
        "findings": lint_rule(candidate, then, known_tools(request)),
    }  # fmt: skip


def known_tools(request: HttpRequest) -> list[Known]:
    return [known(tool) for tool in tools_of(request)]


def known(tool: Tool) -> Known:
    """A tool as the lint sees it."""
    return Known(tool.agent, tool.name, str(tool.team_id), tool.effect, tool.schema, tool.results)


def sentence(kind: Kind) -> str:
    """One kind of change in words, and what people had said about these calls."""
    text = _CHANGED[kind.before, kind.after](kind.count) % {"n": kind.count}
    if kind.approved or kind.rejected:
        told = gettext("People approved %(a)d and rejected %(r)d of them.")
        text += " " + told % {"a": kind.approved, "r": kind.rejected}
    return text


_CHANGED = {
    (Verdict.ASK, Verdict.ALLOW): lambda n: ngettext(
        "%(n)d call that people are asked about would run without asking.",
        "%(n)d calls that people are asked about would run without asking.", n),
    (Verdict.DENY, Verdict.ALLOW): lambda n: ngettext(
        "%(n)d call that is denied would run without asking.", "%(n)d calls that are denied would run without asking.", n),
    (Verdict.ALLOW, Verdict.ASK): lambda n: ngettext(
        "%(n)d call that runs without asking would be asked about.",
        "%(n)d calls that run without asking would be asked about.", n),
    (Verdict.DENY, Verdict.ASK): lambda n: ngettext(
        "%(n)d call that is denied would be asked about.", "%(n)d calls that are denied would be asked about.", n),
    (Verdict.ASK, Verdict.ASK): lambda n: ngettext(
        "%(n)d call would still be asked about, with other people or another number of them.",
        "%(n)d calls would still be asked about, with other people or another number of them.", n),
    (Verdict.ALLOW, Verdict.DENY): lambda n: ngettext(
        "%(n)d call that runs without asking would be denied.", "%(n)d calls that run without asking would be denied.", n),
    (Verdict.ASK, Verdict.DENY): lambda n: ngettext(
        "%(n)d call that people are asked about would be denied.",
        "%(n)d calls that people are asked about would be denied.", n),
}  # fmt: skip


def preview_page(admin: Any, request: HttpRequest, obj: Any, form: Any, result: dict[str, Any] | None) -> HttpResponse:
    """The form as it was filled in, not saved, with the preview above it."""
    fieldsets = admin.get_fieldsets(request, obj)
    shown = helpers.AdminForm(form, list(fieldsets), {}, (), model_admin=admin)
    change = obj is not None
    context = {
        **admin.admin_site.each_context(request), "title": _("Preview of a rule"), "subtitle": str(obj) if change else None,
        "adminform": shown, "object_id": str(obj.pk) if change else None, "original": obj, "is_popup": False, "to_field": None,
        "media": admin.media + shown.media, "inline_admin_formsets": [], "errors": helpers.AdminErrorList(form, []),
        "preserved_filters": admin.get_preserved_filters(request), "preview": result,
    }  # fmt: skip
    shown_page: HttpResponse = admin.render_change_form(request, context, add=not change, change=change, obj=obj)
    return shown_page
