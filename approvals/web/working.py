"""The pages about the work itself: a team's load, and one's own pace."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from agentdesk.people.models import Role, Team, User
from approvals.load import load_of
from approvals.pace import QUICK, paces_of
from approvals.web.signed_in import signed_in


@signed_in
@require_safe
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """For the team's members and superusers; to others there is no such team."""
    user = request.user
    found = Team.objects.filter(slug=slug).first()
    if not isinstance(user, User) or found is None or not (user.is_superuser or found.pk in user.team_ids()):
        raise Http404
    context = {
        "team": found, "load": load_of(found, since=began_today(user)),
        "administers": user.is_superuser or found.pk in user.team_ids(Role.ADMIN),
    }  # fmt: skip
    return render(request, "approvals/team.html", context)


@signed_in
@require_safe
def pace(request: HttpRequest) -> HttpResponse:
    if not isinstance(request.user, User) or request.user.is_service:
        raise Http404
    paces = paces_of(request.user)
    own, others = paces.own, paces.others
    verdicts = [
        {
            "label": verdict.label, "own": count, "own_percent": own.percent_of(verdict),
            "others": others.verdicts[verdict], "others_percent": others.percent_of(verdict),
        }
        for verdict, count in own.verdicts.items()
    ]  # fmt: skip
    return render(
        request, "approvals/pace.html", {"own": paces.own, "others": paces.others, "verdicts": verdicts, "quick": QUICK}
    )


def began_today(user: User) -> datetime:
    """When today began in the user's own zone; without one, in the desk's."""
    zone = ZoneInfo(user.time_zone) if user.time_zone else timezone.get_default_timezone()
    return timezone.now().astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
