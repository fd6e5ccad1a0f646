"""Every page says when the desk is switched off or in dry run, by whom and since when."""

from functools import cache
from typing import Any

from django.http import HttpRequest

from approvals.models import Halt, Rehearsal


def halted(request: HttpRequest) -> dict[str, Any]:
    """For every page's template: ``halt`` and ``rehearsal``, which ask the database once, and only where they are shown."""
    return {"halt": cache(lambda: Halt.standing().first()), "rehearsal": cache(lambda: Rehearsal.standing().first())}
