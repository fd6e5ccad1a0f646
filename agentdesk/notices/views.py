"""A person's own rules: what they are told, and when."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from agentdesk.audit.record import Actor, record
from agentdesk.notices.forms import PersonalRulesForm
from agentdesk.notices.models import PersonalRules
from agentdesk.people.models import User


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def rules(request: HttpRequest) -> HttpResponse:
    user = request.user
    if not isinstance(user, User):
        raise TypeError("nobody is signed in")
    posted = request.POST if request.method == "POST" else None
    mine = PersonalRules.objects.filter(user=user).first() or PersonalRules(user=user, events=["approval.asked"])
    form = PersonalRulesForm(posted, instance=mine, label_suffix="")
    if posted is not None and form.is_valid():
        _save(form, user, Actor.from_request(request))
        messages.success(request, _("Your notifications are saved."))
        return redirect("notices:rules")
    context = {"form": form, "mail_is_on": settings.NOTICES_MAIL, "zone": user.time_zone or settings.DESK_TIME_ZONE}
    return render(request, "notices/rules.html", context, status=200 if posted is None else 422)


def _save(form: PersonalRulesForm, user: User, actor: Actor) -> None:
    if not form.has_changed() and not form.instance._state.adding:
        return
    with transaction.atomic():
        form.save()
        after = {name: form.cleaned_data[name] for name in form.changed_data}
        record(
            "user.changed", actor=actor, object_type="user", object_id=user.pk, object_label=user.label,
            before={name: form.initial.get(name) for name in after}, after={"notifications": after},
        )  # fmt: skip
