"""What people set about notifications: their own rules, and a team's subscriptions."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agentdesk.notices.addresses import Refused, check_url
from agentdesk.notices.models import EVENTS, PersonalRules, Subscription

PERSONAL = {
    "approval.asked": gettext_lazy("An approval waits for my teams"),
    "approval.assigned": gettext_lazy("An approval is given to me"),
    "approval.due": gettext_lazy("Time is running out: 50, 80 and 100 % of the time to decide"),
    "approval.reminded": gettext_lazy("An approval still waits when a rule's reminder is due"),
    "approval.decided": gettext_lazy("Somebody else decided, or it expired"),
    "run.failed": gettext_lazy("A run of my teams, as an operator, or one that I started failed or was stopped"),
}


class PersonalRulesForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    events = forms.MultipleChoiceField(
        label=gettext_lazy("Tell me when"),
        required=False,
        choices=[*PERSONAL.items()],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = PersonalRules
        fields = ("mail", "events", "minimum_risk", "pace", "daily_at", "quiet_from", "quiet_until")
        widgets = {name: forms.TimeInput(attrs={"type": "time"}) for name in ("daily_at", "quiet_from", "quiet_until")}

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if given.get("pace") == PersonalRules.Pace.DAILY and given.get("daily_at") is None and "daily_at" not in self.errors:
            self.add_error("daily_at", _("Say at what time."))
        for one, other in (("quiet_from", "quiet_until"), ("quiet_until", "quiet_from")):
            if given.get(one) is not None and given.get(other) is None and other not in self.errors:
                self.add_error(other, _("Quiet hours need a beginning and an end."))
        if given.get("mail") and not given.get("events") and "events" not in self.errors:
            self.add_error("events", _("Choose at least one, or switch e-mail off."))
        return given


class SubscriptionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    events = forms.MultipleChoiceField(label=gettext_lazy("Events"), choices=EVENTS, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = Subscription
        fields = ("name", "team", "kind", "url", "events", "minimum_risk", "active")

    def clean_url(self) -> str:
        url = str(self.cleaned_data["url"]).strip()
        try:
            check_url(url)
        except Refused as error:
            raise forms.ValidationError(str(error)) from None
        return url
