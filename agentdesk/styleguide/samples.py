"""What a section of the page is made of."""

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from agentdesk.styleguide.apart import apart
from agentdesk.styleguide.cast import Cast


@dataclass(frozen=True, slots=True)
class Sample:
    """One part in one state. ``html`` as the product renders it; ``is_wide``: it needs the whole width."""

    title: str
    html: str
    is_wide: bool = False

    def apart(self, name: str) -> SafeString:
        return apart(self.html, name)


@dataclass(frozen=True, slots=True)
class Section:
    """``slug`` is its anchor; ``group`` the heading it stands under in the table of contents."""

    group: str
    slug: str
    title: str
    samples: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Stage:
    """What the samples are made with: the cast, and a request of one of them."""

    cast: Cast
    request: HttpRequest

    def sample(self, title: str, template: str, *, is_wide: bool = False, **context: Any) -> Sample:
        return Sample(title, render_to_string(template, context, request=self.request), is_wide)
