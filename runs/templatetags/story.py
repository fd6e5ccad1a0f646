"""The story of a run inside other pages."""

from collections.abc import Sequence

from django import template
from django.utils.safestring import SafeString, mark_safe

from approvals import breakers
from approvals.models import Tool
from runs.models import Step
from runs.web.fragments import render_line
from runs.web.story import in_order, lines

register = template.Library()


@register.filter
def last_line(text: str) -> str:
    """The end of a traceback: what went wrong, without the code that it went through."""
    told = [line for line in text.splitlines() if line.strip()]
    return told[-1].strip() if told else ""


@register.filter
def circuit(tool: Tool) -> str:
    """How the circuit breaker of a tool stands; empty while calls go through."""
    return breakers.told(tool) if breakers.is_troubled(tool) else ""


@register.simple_tag
def story(steps: Sequence[Step]) -> SafeString:
    """The lines of ``steps``, as the run's own page shows them."""
    return mark_safe("".join(render_line(line) for line in in_order(lines(steps))))  # noqa: S308 - templates' output
