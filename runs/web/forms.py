"""The form that starts a run."""

import json
import math
from typing import Any, NoReturn

from django import forms
from django.utils.translation import gettext_lazy as _

from agentdesk.figures import figure
from approvals.models import Tool
from approvals.policy.fences import scope_problems
from runs.errors import InputTooLarge, InvalidInput, RunError
from runs.limits import LIMITS, Amount, field_of, limits_of_agent
from runs.models import Agent

ABOUT = ("scope", "tools")


def takes_words(agent: Agent) -> bool:
    """Whether a plain sentence is enough: the agent's input is a conversation and nothing else is required."""
    schema = agent.input_schema if isinstance(agent.input_schema, dict) else {}
    return "messages" in schema.get("properties", {}) and set(schema.get("required", [])) <= {"messages"}


class StartForm(forms.Form):
    """What a run is given. Shows one text area for agents that take a conversation, and JSON for all others."""

    words = forms.CharField(
        label=_("What should the agent do"), strip=False, widget=forms.Textarea(attrs={"rows": 5}),
        help_text=_("The agent reads this as the first message."),
    )  # fmt: skip
    input = forms.CharField(
        label=_("Input"), strip=False, widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false", "class": "code"}),
        help_text=_("JSON, as the graph takes it."),
    )  # fmt: skip
    dry_run = forms.BooleanField(
        label=_("Dry run"), required=False, help_text=_("Tools that change something do not run; they say what they would do.")
    )

    scope = forms.CharField(
        label=_("What it is about"), required=False, widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("One a line, such as “customer: 17”. A call about another one is asked or denied, as its agent is set."),
    )  # fmt: skip
    tools = forms.MultipleChoiceField(
        label=_("Tools it may use"), required=False, widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: all of its agent. Calls of others are denied."),
    )  # fmt: skip

    def __init__(self, agent: Agent, *, as_json: bool, data: Any = None) -> None:
        super().__init__(data, initial={"input": "{}"}, label_suffix="")
        self.as_json = as_json or not takes_words(agent)
        del self.fields["words" if self.as_json else "input"]
        names = Tool.objects.filter(agent=agent.slug).values_list("name", flat=True)
        choice: Any = self.fields["tools"]
        choice.choices = [(name, name) for name in names]
        most = limits_of_agent(agent)
        self.limits = [name for name, limit in LIMITS.items() if not limit.is_of_agent]
        for name in self.limits:
            self.fields[name] = field = field_of(name, most[name])
            field.widget.attrs["class"] = "input"
            field.help_text = _("For this agent: %(most)s.") % {"most": figure(most[name])}

    def main_fields(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in (*self.limits, *ABOUT)]

    def about_fields(self) -> list[forms.BoundField]:
        """What the run is about, and the tools it may use."""
        return [field for field in self if field.name in ABOUT]

    def limit_fields(self) -> list[forms.BoundField]:
        """Limits of this run alone, below those of the agent."""
        return [field for field in self if field.name in self.limits]

    def lower(self) -> dict[str, Amount]:
        return {name: value for name in self.limits if (value := self.cleaned_data.get(name)) is not None}

    def about(self) -> dict[str, Any]:
        return {"scope": self.cleaned_data["scope"], "tools": self.cleaned_data["tools"] or None}

    def clean_scope(self) -> dict[str, Any]:
        """Lines of ``key: value``; one key on several lines means any of its values."""
        scope: dict[str, Any] = {}
        for line in self.cleaned_data["scope"].splitlines():
            if not line.strip():
                continue
            key, colon, value = (part.strip() for part in line.partition(":"))
            if not colon or not value:
                raise forms.ValidationError(_("Write a key, a colon and a value: customer: 17"))
            scope[key] = [*(scope[key] if isinstance(scope[key], list) else [scope[key]]), value] if key in scope else value
        if wrong := scope_problems(scope, None):
            raise forms.ValidationError(wrong)
        return scope

    def clean_input(self) -> Any:
        return parse(self.cleaned_data["input"])

    def clean_words(self) -> str:
        words: str = self.cleaned_data["words"].replace("\r\n", "\n")  # browsers send CRLF, agents read lines
        if not words.strip():
            raise forms.ValidationError(_("Say what the agent should do."))
        return words

    @property
    def subject(self) -> str:
        """The name of the field that holds the input."""
        return "input" if self.as_json else "words"

    def refuse(self, refused: RunError) -> int:
        """Say why the verb did not do it, at the field where that is its fault; return the HTTP status."""
        at_field = isinstance(refused, (InvalidInput, InputTooLarge))
        self.add_error(self.subject if at_field else None, str(refused))
        return refused.status

    def run_input(self) -> Any:
        """The input as the graph takes it."""
        if self.as_json:
            return self.cleaned_data["input"]
        return {"messages": [{"role": "user", "content": self.cleaned_data["words"]}]}


def parse(text: str) -> Any:
    """JSON from a person. Raises ValidationError that says where it breaks."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        where = {"line": error.lineno, "column": error.colno, "what": error.msg}
        raise forms.ValidationError(_("This is not JSON: line %(line)s, column %(column)s: %(what)s."), params=where) from error
    except RecursionError as error:
        raise forms.ValidationError(_("This JSON is nested too deeply.")) from error
    except ValueError as error:
        raise forms.ValidationError(_("This is not JSON: %(what)s."), params={"what": error}) from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_constant(text)
