"""Approvals and what was decided, for reading: nobody changes the past, superusers included."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from agentdesk.admin_site import ReadOnly, administered
from agentdesk.digests import decode
from approvals.models import Approval, Decision, Evaluation, Review


@admin.register(Approval)
class ApprovalAdmin(ReadOnly):
    list_display = ["action", "agent", "team", "status", "risk", "requested_at", "closed_at"]
    list_filter = ["status", "risk", "kind"]
    list_select_related = ["team"]
    search_fields = ["action", "agent", "source_ref"]
    ordering = ["-pk"]
    show_full_result_count = False

    def view_on_site(self, obj: Approval) -> str:
        return reverse("approvals:detail", args=[obj.pk])


@admin.register(Decision)
class DecisionAdmin(ReadOnly):
    team_path = "approval__team"
    list_display = ["approval", "verdict", "decided_by_label", "via", "decided_at", "delivered_at", "voided_at"]
    list_filter = ["verdict", "via"]
    list_select_related = ["approval"]
    search_fields = ["decided_by_label", "approval__action", "approval__agent"]
    ordering = ["-pk"]
    show_full_result_count = False


@admin.register(Review)
class ReviewAdmin(ReadOnly):
    team_path = "approval__team"
    list_display = ["approval", "version", "reviewer", "verdict", "at"]
    list_filter = ["verdict"]
    list_select_related = ["approval", "reviewer"]
    ordering = ["-pk"]
    show_full_result_count = False


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnly):
    list_display = ["action", "agent", "verdict", "policy_version", "at", "occasion"]
    list_filter = ["verdict"]
    search_fields = ["action", "agent", "source_ref"]
    ordering = ["-pk"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """The team of an evaluation is one of the facts that it saw, encoded."""
        teams = administered(request)
        rows = Evaluation.objects.all()
        return rows if teams is None else rows.filter(facts__team__v__in=[str(team) for team in teams])

    def owns(self, request: HttpRequest, obj: Any) -> bool:
        teams = administered(request)
        return teams is None or decode(obj.facts).get("team") in teams
