"""The ground and the small parts: colours, type, icons, words with a colour, buttons, fields, notes, menus, messages."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django import forms
from django.contrib.messages import constants
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from agentdesk.styleguide.samples import Sample, Section, Stage
from approvals.models import Halt, Rehearsal
from approvals.states import Risk, Status, Verdict
from approvals.web.reading import State, state_of
from runs.states import CallStatus, RunStatus
from runs.web.calls import ICONS as CALL_ICONS
from runs.web.calls import TONES as CALL_TONES
from runs.web.fragments import ICONS, TONES

GROUNDS = ("page", "side", "sunk", "line", "edge", "ink", "ink-2", "ink-3")
TONED = ("accent", "plum", "ok", "low", "medium", "high", "critical")
MARKS = ("low-mark", "medium-mark", "high-mark", "critical-mark", "critical-solid")
SOFTS = ("accent-soft", "plum-soft", "ok-soft", "medium-soft", "high-soft", "critical-soft")


class _Fields(forms.Form):
    """One of each kind that the desk's own forms have."""

    name = forms.CharField(initial="Support care", help_text="Shown to everybody in the team.")
    zone = forms.ChoiceField(choices=[("", "As the desk"), ("Europe/Berlin", "Europe/Berlin")], required=False)
    text = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), initial="Not our fault")
    told = forms.BooleanField(label="Tell me by e-mail", required=False)
    off = forms.CharField(label="Cannot be changed", disabled=True, initial="support-care", required=False)
    amount = forms.DecimalField(max_value=500, initial="1860.00")


def sections(stage: Stage) -> list[Section]:
    ground, words, acting, page = _("Ground"), _("Words with a colour"), _("Acting"), _("The page itself")
    colours: dict[str, Any] = {"grounds": GROUNDS, "toned": TONED, "marks": MARKS, "softs": SOFTS}
    return [
        Section(ground, "colour", _("Colour"), [stage.sample(_("Tokens"), "styleguide/colour.html", **colours)]),
        Section(ground, "type", _("Type and distance"), [stage.sample(_("Scales"), "styleguide/type.html")]),
        Section(ground, "icons", _("Icons"), [stage.sample(_("The sprite"), "styleguide/icons.html", names=icon_names())]),
        Section(words, "words", _("Risk, state, source, time"), _words(stage)),
        Section(acting, "buttons", _("Buttons"), [stage.sample(_("Kinds and states"), "styleguide/buttons.html")]),
        Section(acting, "fields", _("Fields"), _fields(stage)),
        Section(page, "notes", _("Notes and page states"), _notes(stage)),
        Section(page, "menus", _("Bar, menus, dialogs"), _menus(stage)),
    ]


def icon_names() -> list[str]:
    """What the sprite holds."""
    return re.findall(r'id="i-([a-z-]+)"', Path(str(finders.find("icons.svg"))).read_text())


def _words(stage: Stage) -> list[Sample]:
    cast = stage.cast
    decided = [cast.decided(verdict) for verdict in Verdict if verdict not in (Verdict.EXPIRE, Verdict.WITHDRAW)]
    shown = [
        cast.approval(), cast.approval(requirements={"count": 2}), cast.decided(Verdict.APPROVE, Status.HELD), *decided,
        cast.approval(status=Status.EXPIRED), cast.approval(status=Status.WITHDRAWN), cast.approval(status=Status.SUPERSEDED),
        cast.decided(Verdict.APPROVE, voided_at=cast.now),
    ]  # fmt: skip
    runs = [State(ICONS[status], TONES.get(status, ""), str(status.label)) for status in RunStatus]
    calls = [State(CALL_ICONS[status], CALL_TONES.get(status, ""), str(status.label)) for status in CallStatus]
    clocks = [
        cast.approval(expires_at=at)
        for at in (cast.after(hours=4), cast.after(minutes=41), cast.after(minutes=7), cast.now, None)
    ]
    context: dict[str, Any] = {
        "risks": list(Risk), "approvals": [state_of(one, 1) for one in shown], "runs": runs, "calls": calls, "clocks": clocks,
        "now": cast.now, "earlier": cast.before(minutes=12, seconds=8),
    }  # fmt: skip
    return [stage.sample(_("All of them"), "styleguide/words.html", **context)]


def _fields(stage: Stage) -> list[Sample]:
    clean = _Fields()
    wrong = _Fields({"name": "", "zone": "Mars/Base", "text": "", "amount": "1860"})
    wrong.is_valid()
    return [
        stage.sample(_("As they come"), "styleguide/fields.html", form=clean),
        stage.sample(_("Invalid"), "styleguide/fields.html", form=wrong),
    ]


def _notes(stage: Stage) -> list[Sample]:
    said = [
        (constants.SUCCESS, _("Recorded. The run goes on with exactly this.")),
        (constants.WARNING, _("The link was old: it led to another one.")),
        (constants.ERROR, _("Not recorded. Somebody else was first.")),
    ]
    messages = [_Message(level, text) for level, text in said]
    return [
        stage.sample(_("Tones"), "styleguide/notes.html"),
        stage.sample(_("Messages"), "_messages.html", messages=messages, delivery_delayed=True),
    ]


def _menus(stage: Stage) -> list[Sample]:
    stopped = Halt(began_by_label="Jo Merrow", began_at=stage.cast.now, because=_("The refund tool pays twice."))
    dry = Rehearsal(began_by_label="Jo Merrow", began_at=stage.cast.now, because=_("New rules are tried."))
    place = SimpleNamespace(namespace="approvals", view_name="approvals:inbox")
    request = SimpleNamespace(resolver_match=place)
    usual: dict[str, Any] = {"user": stage.request.user, "inbox_count": "23", "request": request}
    live, off, ended = (_bar(usual, state) for state in ("live", "offline", "ended"))
    keys = render_to_string("_keys.html").replace("<dialog ", "<dialog open ")
    return [
        Sample(_("Live, the menu open"), live.replace('<details class="menu">', '<details class="menu" open>'), True),
        Sample(_("Offline"), off, True),
        Sample(_("Signed out"), ended, True),
        Sample(_("Switched off, and in dry run"), _bar({**usual, "halt": stopped, "rehearsal": dry}, "live"), True),
        Sample(_("Keys"), keys),
    ]


def _bar(context: dict[str, Any], state: str) -> str:
    """The bar as ``static/js/live.js`` leaves it in this state."""
    words = {"live": _("Live"), "offline": _("Offline"), "ended": _("Signed out")}
    html = render_to_string("_top.html", context).replace('data-state="connecting"', f'data-state="{state}"')
    html = html.replace(f"<span data-word>{_('Connecting')}</span>", f"<span data-word>{words[state]}</span>")
    shown = {"offline": 'id="offline" role="alert"', "ended": 'id="signed-out" role="alert"'}.get(state)
    return html.replace(f"{shown} hidden", shown) if shown else html


class _Message:
    """As Django's messages read in templates."""

    def __init__(self, level: int, text: str) -> None:
        self.level_tag = constants.DEFAULT_TAGS[level]
        self.text = text

    def __str__(self) -> str:
        return self.text
