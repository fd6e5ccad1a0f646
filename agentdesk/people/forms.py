"""What people may change about themselves, and the making of tokens."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agentdesk.people.models import User


def time_zones() -> list[tuple[str, Any]]:
    """The choices of a time zone, the browser's own first."""
    names = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
    return [("", _("As the browser")), ("UTC", "UTC"), *((name, name.replace("_", " ")) for name in names)]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Name, time zone, theme; the language where there is more than one."""

    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, choices=time_zones)
    language = forms.ChoiceField(label=_("Language"), required=False, choices=[("", _("As the browser")), *settings.LANGUAGES])

    class Meta:
        model = User
        fields = ("first_name", "last_name", "time_zone", "language", "theme")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if len(settings.LANGUAGES) < 2:
            del self.fields["language"]


class ThemeForm(forms.Form):
    theme = forms.ChoiceField(choices=User.Theme.choices)


class TokenForm(forms.Form):
    """A new token: what for, and for how long."""

    name = forms.CharField(label=_("What it is for"), max_length=120)
    days = forms.TypedChoiceField(
        label=_("Valid for"),
        coerce=int,
        choices=[(30, _("30 days")), (90, _("90 days")), (365, _("a year")), (0, _("until it is revoked"))],
    )

    def expires_at(self) -> datetime | None:
        """When the token ends; None: never."""
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None
