"""The audit page's filter."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django import forms
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agentdesk.audit.access import Entries
from agentdesk.audit.record import ACTIONS
from agentdesk.templatetags.desk import worded


def _acts() -> list[tuple[str, str]]:
    return [("", gettext("Every act")), *((name, worded(name)) for name in sorted(ACTIONS))]


class FilterForm(forms.Form):
    """All fields may be empty. Days are UTC."""

    who = forms.CharField(label=_("Who"), required=False, max_length=100)
    action = forms.ChoiceField(label=_("Act"), required=False, choices=_acts)
    on = forms.CharField(label=_("On"), required=False, max_length=200)
    run = forms.UUIDField(label=_("Run"), required=False)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    people = forms.BooleanField(label=_("Only what people did"), required=False)

    def narrow(self, entries: Entries) -> Entries:
        """Apply what was filled in. Call after ``is_valid()``; fields with errors count as empty."""
        data = self.cleaned_data
        if data.get("who"):
            entries = entries.filter(actor_label__icontains=data["who"])
        if data.get("action"):
            entries = entries.filter(action=data["action"])
        if data.get("on"):
            entries = entries.filter(_about(data["on"].strip()))
        if data.get("run"):
            entries = entries.filter(run_id=data["run"])
        if data.get("since"):
            entries = entries.filter(at__gte=_midnight(data["since"]))
        if data.get("until"):
            entries = entries.filter(at__lt=_midnight(data["until"]) + timedelta(days=1))
        if data.get("people"):
            entries = entries.filter(actor_id__isnull=False)
        return entries


def _about(text: str) -> Q:
    """An id means that very object; other words are looked for in the object's label and kind."""
    try:
        id = UUID(text)
    except ValueError:
        return Q(object_label__icontains=text) | Q(object_type=text.lower()) | Q(object_id=text)
    return Q(object_id=str(id)) | Q(run_id=id)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
