"""Whether hints leave this process: pages say so when they do not, because a decision then takes until the next sweep."""

from django.http import HttpRequest

from agentdesk.live.sender import sender


def delivery(request: HttpRequest) -> dict[str, bool]:
    """For every page's template: ``delivery_delayed``."""
    return {"delivery_delayed": sender().is_failing}
