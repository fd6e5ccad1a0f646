"""``/styleguide/``: for superusers and admins of a team."""

from copy import copy
from datetime import MAXYEAR, MINYEAR, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from agentdesk.people.models import User
from agentdesk.styleguide import deciding, listing, parts, running
from agentdesk.styleguide.cast import Cast
from agentdesk.styleguide.samples import Stage
from approvals.web.signed_in import signed_in

THEMES = ("light", "dark")


@signed_in
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Every part in every state, in both themes side by side, or in one: ``?theme=light`` or ``dark``. ``?at=`` is the moment
    of all samples, so that a picture of the page can be made again; without it, now. Others than staff get 404."""
    if not isinstance(request.user, User) or not request.user.administers:
        raise Http404
    asked = request.GET.get("theme", "")
    theme = asked if asked in THEMES else ""
    stage = _stage(request, _moment(request.GET.get("at", "")))
    sections = [part for module in (parts, deciding, listing, running) for part in module.sections(stage)]
    shown = [
        {
            "section": section,
            "samples": [
                {
                    "title": sample.title,
                    "kind": "sample broad" if sample.is_wide else "sample",
                    "name": f"{section.slug}-{number}",
                    "sides": [
                        (each, sample.apart(f"{section.slug}-{number}-{each}")) for each in ([theme] if theme else THEMES)
                    ],
                }
                for number, sample in enumerate(section.samples, 1)
            ],
        }
        for section in sections
    ]
    return render(request, "styleguide/page.html", {"shown": shown, "theme": theme, "at": request.GET.get("at", "")})


def _stage(request: HttpRequest, now: datetime) -> Stage:
    """The samples are seen by a made-up reviewer who signed in a moment ago."""
    cast = Cast.at(now)
    seen_by = copy(request)
    seen_by.user = cast.robin
    seen_by.session = type(request.session)()  # its own, never saved
    return Stage(cast, seen_by)


def _moment(text: str) -> datetime:
    """A moment with a zone; now for anything else."""
    try:
        at = parse_datetime(text)
    except ValueError:
        at = None
    return at if at is not None and at.tzinfo is not None and MINYEAR < at.year < MAXYEAR else timezone.now()
