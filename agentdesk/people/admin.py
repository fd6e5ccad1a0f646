"""People in Django admin: a team's admins invite people and give roles in their teams; superusers do everything."""

import logging
from collections.abc import Iterable
from smtplib import SMTPException
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agentdesk.admin_site import ReadOnly, TeamScoped, administered
from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor, record
from agentdesk.people import absence_admin  # noqa: F401 - registers its page
from agentdesk.people.invitations import NoAddress, invite
from agentdesk.people.leaving import Left, leave, switched_off
from agentdesk.people.models import Membership, Role, Team, Token, User
from agentdesk.people.superusers import is_last
from agentdesk.people.team_admins import admins_now, admins_of, teams_left_alone
from agentdesk.people.tokens import revoke_token

log = logging.getLogger(__name__)

admin.site.unregister(Group)  # roles are memberships; Django's groups mean nothing here


def actor_of(request: HttpRequest) -> Actor:
    return Actor.from_request(request, AuditEntry.Via.ADMIN)


class UserForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    def clean_email(self) -> str:
        """People sign in by address too, so one address is one person."""
        email = str(self.cleaned_data["email"]).strip()
        if email and User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(_("Somebody else has this address."))
        return email


def successors(request: HttpRequest) -> "models.QuerySet[User]":
    """Whom somebody's approvals may be handed to: people who review in a team that the admin rules."""
    teams = administered(request)
    roles = Membership.objects.filter(role=Role.REVIEWER)
    if teams is not None:
        roles = roles.filter(team__in=teams)
    people = User.objects.filter(is_active=True, kind=User.Kind.PERSON, pk__in=roles.values("user"))
    return people.order_by("username")


class LeavingForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """To whom goes what somebody looks after who leaves."""

    hand_over_to = forms.ModelChoiceField(
        User.objects.none(),
        label=gettext_lazy("Hand over to"),
        required=False,
        empty_label=gettext_lazy("nobody: they are given up"),
        help_text=gettext_lazy(
            "Who gets the approvals that somebody looks after who leaves by this change. What they may not decide is given up."
        ),
    )


class PersonForm(UserForm, LeavingForm):
    """Somebody who is there. The last active superuser stays one, and to a team's admin the last admin of a team stays."""

    may_leave_teams_alone = False

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        lost = [
            name
            for name, kept in (("is_active", True), ("is_superuser", True), ("kind", User.Kind.PERSON))
            if name in given and given[name] != kept
        ]
        if lost and is_last(self.instance.pk):
            text = _("This is the last active superuser. Make somebody else one first.")
            self.add_error(lost[0], text)
        elif lost and not self.may_leave_teams_alone and (alone := teams_left_alone(self.instance)):
            text = _("This is the last admin of %(teams)s. Make somebody else one first, or ask a superuser.")
            self.add_error(lost[0], text % {"teams": ", ".join(team.name for team in alone)})
        if given.get("hand_over_to") == self.instance and "hand_over_to" in given:
            self.add_error("hand_over_to", _("Choose somebody else."))
        return given


class InvitationForm(UserForm):
    """A new user, with a first role."""

    team = forms.ModelChoiceField(Team.objects.none(), label=gettext_lazy("Team"), required=False)
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.choices, initial=Role.REVIEWER)


@admin.register(User)
class UserAdmin(TeamScoped):
    form = PersonForm
    list_display = ("username", "first_name", "last_name", "email", "kind", "is_active", "last_login")
    list_filter = ("is_active", "kind")
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    actions = ("send_invitation",)
    superuser_fields = ("username", "email", "first_name", "last_name", "kind", "is_active", "is_superuser", "hand_over_to")
    team_admin_fields = ("username", "email", "first_name", "last_name", "is_active", "hand_over_to")
    invitation_fields = ("username", "email", "first_name", "last_name", "kind", "team", "role")

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[User]":
        teams = administered(request)
        if teams is None:
            return User.objects.all()
        return User.objects.filter(pk__in=Membership.objects.filter(team__in=teams).values("user"))

    def owns(self, request: HttpRequest, obj: models.Model) -> bool:
        """A team's admin changes people who are in no other team and no superuser."""
        teams = administered(request)
        if teams is None:
            return True
        if not isinstance(obj, User) or obj.is_superuser:
            return False
        memberships = set(Membership.objects.filter(user=obj).values_list("team_id", flat=True))
        return bool(memberships) and memberships <= teams

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        if obj is None:
            return self.has_module_permission(request)
        return self.get_queryset(request).filter(pk=obj.pk).exists()

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Nobody: the record and the decisions name people. They are switched off instead."""
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is not None:
            form: Any = super().get_form(request, obj, change, **kwargs)
            form.may_leave_teams_alone = administered(request) is None
            _offer_successors(form, request)
            return form
        form = super().get_form(request, obj, change, **{**kwargs, "form": InvitationForm})
        teams = administered(request)
        field: Any = form.base_fields["team"]
        field.queryset = Team.objects.all() if teams is None else Team.objects.filter(pk__in=teams)
        field.required = teams is not None
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        is_superuser = administered(request) is None
        if obj is None:
            return self.invitation_fields if is_superuser else tuple(f for f in self.invitation_fields if f != "kind")
        return self.superuser_fields if is_superuser else self.team_admin_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Changing somebody's address would let a team's admin sign in as them."""
        return ("username", "email") if obj is not None and administered(request) is not None else ()

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        changed = [name for name in form.changed_data if name not in {"team", "role", "hand_over_to"}]
        before = {name: form.initial.get(name) for name in changed} if change else None
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        after = {name: form.cleaned_data[name] for name in changed}
        actor = actor_of(request)
        if after or not change:
            record(
                "user.changed", actor=actor, object_type="user", object_id=obj.pk, object_label=obj.label,
                before=before, after=after,
            )  # fmt: skip
        if not change:
            self._welcome(request, obj, form, actor)
        elif "is_active" in changed and not obj.is_active:
            came = switched_off(obj, to=form.cleaned_data["hand_over_to"], actor=actor)
            _tell_left(self, request, came)
            _tell_alone(self, request, Membership.objects.filter(user=obj, role=Role.ADMIN).values_list("team", flat=True))

    def _welcome(self, request: HttpRequest, user: User, form: Any, actor: Actor) -> None:
        team = form.cleaned_data.get("team")
        if team is not None:
            membership = Membership.objects.create(user=user, team=team, role=form.cleaned_data["role"])
            record_membership(membership, actor, before=None, after=membership.role)
        if user.kind == User.Kind.PERSON and user.email:
            self._invite(request, user, actor)

    def _invite(self, request: HttpRequest, user: User, actor: Actor) -> None:
        try:
            invite(user, actor=actor)
        except NoAddress:
            text = _("%(name)s has no e-mail address, so no invitation was sent.")
            self.message_user(request, text % {"name": user.label}, messages.WARNING)
        except (OSError, SMTPException):
            log.exception("an invitation could not be sent")
            text = _("The mail to %(address)s could not be sent. Send the invitation again once mail works.")
            self.message_user(request, text % {"address": user.email}, messages.ERROR)
        else:
            self.message_user(request, _("An invitation was sent to %(address)s.") % {"address": user.email})

    @admin.action(description=gettext_lazy("Send an invitation to choose a password"), permissions=["change"])
    def send_invitation(self, request: HttpRequest, users: "models.QuerySet[User]") -> None:
        for user in users:
            if self.owns(request, user) and user.is_active and user.kind == User.Kind.PERSON:
                self._invite(request, user, actor_of(request))
            else:
                text = _("%(name)s was not invited: switched off, a service account, or in a team that is not yours.")
                self.message_user(request, text % {"name": user.label}, messages.WARNING)


class MembershipFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]  # generic in the stubs only
    """A team's roles. To a team's admin, the last admin of the team stays."""

    may_leave_alone = False

    def clean(self) -> None:
        super().clean()
        if self.may_leave_alone or any(self.errors) or self.instance.pk is None:
            return
        admins = admins_of(self.instance.pk)
        if not admins.exists():
            return  # nothing is lost
        rewritten = [form.instance.pk for form in self.initial_forms]
        others = admins.exclude(pk__in=rewritten)
        if not others.exists() and not any(self._makes_admin(form) for form in self.forms):
            text = _("A team keeps an admin. Make somebody else one first, or ask a superuser.")
            raise forms.ValidationError(text)

    def _makes_admin(self, form: Any) -> bool:
        """Whether the row is that of an admin when it is saved; not, where somebody else has deleted it meanwhile."""
        given = form.cleaned_data
        user = given.get("user")
        if given.get("DELETE") or given.get("role") != Role.ADMIN or user is None:
            return False
        if form.instance.pk and form in self.initial_forms and not Membership.objects.filter(pk=form.instance.pk).exists():
            return False
        return User.objects.filter(pk=user.pk, is_active=True, kind=User.Kind.PERSON).exists()


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    model = Membership
    formset = MembershipFormSet
    extra = 1

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        made: Any = super().get_formset(request, obj, **kwargs)
        made.may_leave_alone = administered(request) is None
        return made

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return True  # the team's page decides

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "user":
            teams = administered(request)
            known = User.objects.order_by("username")
            if teams is not None:
                known = known.filter(pk__in=Membership.objects.filter(team__in=teams).values("user"))
            kwargs["queryset"] = known
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


@admin.register(Team)
class TeamAdmin(TeamScoped):
    team_path = ""
    form = LeavingForm
    list_display = ("name", "slug")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Team]":
        teams = administered(request)
        return Team.objects.all() if teams is None else Team.objects.filter(pk__in=teams)

    def owns(self, request: HttpRequest, obj: models.Model) -> bool:
        teams = administered(request)
        return teams is None or obj.pk in teams

    def has_add_permission(self, request: HttpRequest) -> bool:
        return administered(request) is None

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return dict(self.prepopulated_fields) if obj is None else {}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("slug",)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        _offer_successors(form, request)
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        known = ("slug", "name", "reject_reasons")
        return known if obj is None else (*known, "hand_over_to")

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        changed = [name for name in form.changed_data if name != "hand_over_to"]
        if changed:
            before = {name: form.initial.get(name) for name in changed} if change else None
            after = {name: form.cleaned_data[name] for name in changed}
            record(
                "team.changed", actor=actor_of(request), object_type="team", object_id=obj.pk, object_label=obj.name,
                team_id=obj.pk, before=before, after=after,
            )  # fmt: skip

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        known = Membership.objects.filter(team=form.instance)
        roles = dict(known.values_list("pk", "role"))
        had = dict(known.values_list("pk", "user"))
        formset.save()
        actor = actor_of(request)
        for membership in formset.new_objects:
            record_membership(membership, actor, before=None, after=membership.role)
        for membership, _fields in formset.changed_objects:
            record_membership(membership, actor, before=roles.get(membership.pk), after=membership.role)
        for membership in formset.deleted_objects:
            record_membership(membership, actor, before=membership.role, after=None)
        kept = set(known.values_list("pk", "user", "role"))  # a row may have got another role, or another person
        gone = {user for pk, user in had.items() if (pk, user, roles[pk]) not in kept}
        to = form.cleaned_data.get("hand_over_to")
        came = sum((leave(user, to=to, actor=actor) for user in User.objects.filter(pk__in=gone).order_by("pk")), Left())
        _tell_left(self, request, came)
        _tell_alone(self, request, [form.instance.pk] if Role.ADMIN in roles.values() else [])


@admin.register(Token)
class TokenAdmin(ReadOnly):
    """Tokens of people and service accounts: seen and revoked here, made on the profile page or by ``manage.py tokens``."""

    list_display = ("name", "user", "hint", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = ("name", "user", "hint", "created_at", "last_used_at", "expires_at", "revoked_at")
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Token]":
        teams = administered(request)
        tokens = Token.objects.all()
        if teams is None:
            return tokens
        return tokens.filter(user__in=Membership.objects.filter(team__in=teams).values("user"))

    def owns(self, request: HttpRequest, obj: models.Model) -> bool:
        return self.get_queryset(request).filter(pk=obj.pk).exists()

    @admin.action(description=gettext_lazy("Revoke"))
    def revoke(self, request: HttpRequest, tokens: "models.QuerySet[Token]") -> None:
        count = sum(revoke_token(token, actor=actor_of(request)) for token in tokens)
        self.message_user(request, _("%(count)d tokens were revoked.") % {"count": count})


def _offer_successors(form: Any, request: HttpRequest) -> None:
    if "hand_over_to" in form.base_fields:
        form.base_fields["hand_over_to"].queryset = successors(request)


def _tell_left(page: Any, request: HttpRequest, came: Left) -> None:
    if came.handed_over or came.released:
        text = _("Approvals handed over: %(handed)d. Given up: %(released)d.")
        page.message_user(request, text % {"handed": came.handed_over, "released": came.released})
    if came.offered or came.ended:
        text = _("Standing approvals offered to whom you chose: %(offered)d. Ended: %(ended)d.")
        page.message_user(request, text % {"offered": came.offered, "ended": came.ended})


def _tell_alone(page: Any, request: HttpRequest, team_ids: Iterable[UUID]) -> None:
    """Warn a superuser who has taken the last admin of a team away."""
    for team in Team.objects.filter(pk__in=list(team_ids)):
        if not admins_now(team.pk).exists():
            text = _("Nobody but superusers administers %(team)s now.") % {"team": team.name}
            page.message_user(request, text, messages.WARNING)


def record_membership(membership: Membership, actor: Actor, *, before: str | None, after: str | None) -> None:
    """Put on record that somebody got, changed or lost a role."""
    team: UUID = membership.team_id
    record(
        "membership.changed", actor=actor, object_type="user", object_id=membership.user_id, object_label=str(membership),
        team_id=team, before={"role": before}, after={"role": after},
    )  # fmt: skip
