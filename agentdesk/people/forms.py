"""What people may change about themselves, and the making of tokens."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.forms.boundfield import BoundField
from django.http import QueryDict
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from agentdesk.people.keys import ACTS, CARD, EVERYWHERE, LIST, Act, BadKey, clashes, own_of, read_key
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


class SwitchesForm(forms.Form):
    """The two switches of the map of keys; one that is not sent is off."""

    uses_keys = forms.BooleanField(label=_("Use keys"), required=False)
    opens_next = forms.BooleanField(label=_("After a decision by key, open the next approval"), required=False)


class KeyField(forms.CharField):
    """The key of one act. Raises ValidationError for a text that is no key."""

    def __init__(self, act: Act) -> None:
        widget = forms.TextInput({"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "size": 3})
        super().__init__(label=capfirst(act.words), required=False, max_length=12, widget=widget)

    def clean(self, value: Any) -> str:
        try:
            return read_key(super().clean(value))
        except BadKey:
            raise forms.ValidationError(_("One character, or two with a blank between them.")) from None


class KeysForm(SwitchesForm):
    """A person's map of keys, a field for each act, and the switches."""

    GROUPS = ((_("In lists"), LIST), (_("On the page of an approval"), CARD), (_("Everywhere"), EVERYWHERE))

    def __init__(self, user: User, data: QueryDict | None = None) -> None:
        switches = {"uses_keys": user.uses_keys, "opens_next": user.opens_next}
        super().__init__(data, initial=user.key_map | switches, label_suffix="")
        for act in ACTS:
            self.fields[act.name] = KeyField(act)

    def groups(self) -> Iterator[tuple[Any, list[BoundField]]]:
        """The fields of the acts, by where the acts can be done."""
        for title, places in self.GROUPS:
            yield title, [self[act.name] for act in ACTS if act.places == places]

    def clean(self) -> dict[str, Any]:
        taken = _("This is also the key of “%(words)s”, or the first of its two.")
        for act, other in clashes(dict(self.cleaned_data)):
            self.add_error(act.name, taken % {"words": other.words})
            self.add_error(other.name, taken % {"words": act.words})
        return self.cleaned_data

    def changes(self) -> dict[str, Any]:
        """What is stored with the person."""
        return {
            "keys": own_of(self.cleaned_data),
            "uses_keys": self.cleaned_data["uses_keys"],
            "opens_next": self.cleaned_data["opens_next"],
        }


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
