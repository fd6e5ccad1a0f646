"""Notifications in Django admin: subscriptions of teams, and the log of what was delivered."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agentdesk.admin_site import Alarm, ReadOnly, TeamScoped, administered, alarming
from agentdesk.audit.record import Actor, record
from agentdesk.notices import outbox
from agentdesk.notices.forms import SubscriptionForm
from agentdesk.notices.models import Attempt, Delivery, Subscription
from agentdesk.notices.signing import OVERLAP, new_secret


@admin.register(Subscription)
class SubscriptionAdmin(TeamScoped):
    """A team's own, and the desk's for who administers all of it. None is deleted, for the log names them: switch them off."""

    form = SubscriptionForm
    list_display = ("name", "team", "kind", "host", "active", "minimum_risk")
    list_filter = ("kind", "active")
    search_fields = ("name",)
    actions = ("test",)

    @admin.display(description=gettext_lazy("host"))
    def host(self, subscription: Subscription) -> str:
        """The rest of the address may be a secret."""
        return urlsplit(subscription.url).hostname or ""

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if administered(request) is not None:
            form.base_fields["team"].required = True  # the whole desk is not theirs
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("kind",)  # only webhooks have a secret

    def get_urls(self) -> Any:
        renew = self.admin_site.admin_view(self.renew)
        return [path("<uuid:subscription_id>/secret/", renew, name="notices_subscription_secret"), *super().get_urls()]

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        """The record names no address, which may be a secret; only that it changed, and its host."""
        if not change and obj.kind == Subscription.Kind.WEBHOOK:
            request.__dict__["new_secret"] = new_secret(obj)
        super().save_model(request, obj, form, change)
        if not obj.active:
            outbox.drop(Delivery.objects.filter(subscription=obj), "The subscription was switched off.")
        if form.changed_data:
            after = {name: form.cleaned_data[name] for name in form.changed_data if name not in {"url", "team"}}
            if "url" in form.changed_data:
                after["host"] = self.host(obj)
            _record("subscription.changed" if change else "subscription.added", request, obj, after)

    def response_add(self, request: HttpRequest, obj: Subscription, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret of a new webhook on the answer: there is no address to find it at later."""
        text = request.__dict__.pop("new_secret", None)
        if text is None:
            return super().response_add(request, obj, post_url_continue)
        return self._show_secret(request, obj, text)

    def renew(self, request: HttpRequest, subscription_id: UUID) -> HttpResponse:
        """POST: a new secret, shown once."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        with transaction.atomic():
            subscription = get_object_or_404(Subscription.objects.select_for_update(of=("self",)), pk=subscription_id)
            if not self.has_change_permission(request, subscription) or subscription.kind != Subscription.Kind.WEBHOOK:
                raise PermissionDenied
            text = new_secret(subscription)
            subscription.save(update_fields=["nonce", "former_nonce", "former_until"])
            _record("subscription.secret", request, subscription, {"former_until": subscription.former_until})
        return self._show_secret(request, subscription, text)

    def _show_secret(self, request: HttpRequest, subscription: Subscription, text: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request), "opts": self.opts, "subscription": subscription, "secret": text,
            "title": _("Secret of %(name)s") % {"name": subscription}, "hours": int(OVERLAP.total_seconds() // 3600),
        }  # fmt: skip
        response = TemplateResponse(request, "admin/notices/secret.html", context)
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description=gettext_lazy("Send a test"), permissions=["change"])
    def test(self, request: HttpRequest, subscriptions: "models.QuerySet[Subscription]") -> None:
        for subscription in subscriptions:
            if not self.owns(request, subscription) or not subscription.active:
                self.message_user(
                    request, _("%(name)s is switched off or not yours: no test.") % {"name": subscription}, messages.WARNING
                )
                continue
            with transaction.atomic():
                delivery = outbox.send_test(subscription)
                _record("subscription.tested", request, subscription, {"delivery": delivery.pk})
            address = reverse("admin:notices_delivery_change", args=[delivery.pk])
            text = _("A test is on its way to %(name)s.") % {"name": subscription}
            self.message_user(request, format_html('{} <a href="{}">{}</a>', text, address, _("What became of it")))


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = Attempt
    fields = readonly_fields = ("at", "ok", "code", "milliseconds", "error", "answer")
    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return True  # the delivery's page decides

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    """The log. E-mail to people is in it for who administers the whole desk."""

    team_path = "subscription__team"
    list_display = ("created_at", "what", "to", "state", "tries", "next_at", "ended_at", "because")
    list_filter = ("state", "announcement__event")
    list_select_related = ("announcement", "subscription", "user")
    fields = readonly_fields = (
        "id", "what", "to", "state", "tries", "created_at", "next_at", "ended_at", "because",
    )  # fmt: skip
    inlines = (AttemptInline,)
    actions = ("replay",)
    show_full_result_count = False

    @admin.display(description=gettext_lazy("what"))
    def what(self, delivery: Delivery) -> str:
        return str(delivery.announcement)

    @admin.display(description=gettext_lazy("to"))
    def to(self, delivery: Delivery) -> str:
        return str(delivery.subscription or delivery.user)

    def owns(self, request: HttpRequest, obj: models.Model) -> bool:
        if not isinstance(obj, Delivery) or obj.subscription is None:
            return administered(request) is None
        teams = administered(request)
        return teams is None or obj.subscription.team_id in teams

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    @admin.action(description=gettext_lazy("Send again"), permissions=["replay"])
    def replay(self, request: HttpRequest, deliveries: "models.QuerySet[Delivery]") -> None:
        actor = Actor.from_request(request, "admin")
        mine = [each.pk for each in deliveries.select_related("subscription") if self.owns(request, each)]
        done = sum(outbox.replay(pk, actor=actor) for pk in mine)
        self.message_user(request, _("%(done)d are sent again; %(left)d were on their way already.") % {
            "done": done, "left": len(mine) - done,
        })  # fmt: skip


@alarming
def dead_letters(request: HttpRequest) -> list[Alarm]:
    """Subscriptions with deliveries that never arrived."""
    teams = administered(request)
    dead = Subscription.objects.filter(deliveries__state=Delivery.State.DEAD)
    if teams is not None:
        dead = dead.filter(team__in=teams)
    text = _("%(name)s: %(count)d notifications did not arrive.")
    address = reverse("admin:notices_delivery_changelist") + "?state__exact=dead"
    counted = dead.annotate(dead=models.Count("deliveries"))
    return [Alarm(text % {"name": each, "count": each.dead}, address) for each in counted[:50]]


def _record(action: str, request: HttpRequest, subscription: Subscription, after: dict[str, Any]) -> None:
    record(
        action, actor=Actor.from_request(request, "admin"), object_type="subscription", object_id=subscription.pk,
        object_label=subscription.name, team_id=subscription.team_id, after=after,
    )  # fmt: skip
