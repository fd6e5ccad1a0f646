"""Every page says when the desk is switched off, by whom and since when."""

from functools import cache
from typing import Any

from django.http import HttpRequest

from approvals.models import Halt


def halted(request: HttpRequest) -> dict[str, Any]:
    """For every page's template: ``halt``, which asks the database once, and only where it is shown."""
    return {"halt": cache(lambda: Halt.standing().first())}
