"""The audit page: the list with its filter, and one entry beside it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from agentdesk import masking
from agentdesk.audit.access import TooSlow, find, may_read, newest, readable
from agentdesk.audit.filters import FilterForm
from agentdesk.audit.models import AuditEntry
from agentdesk.people.models import User

PAGE = 50
CURSOR = "before"
WAYS = {
    AuditEntry.Via.WEB: _("by browser"),
    AuditEntry.Via.API: _("by the API"),
    AuditEntry.Via.CLI: _("by the command line"),
    AuditEntry.Via.ADMIN: _("in Django admin"),
    AuditEntry.Via.WORKER: _("by the desk itself"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of an entry, before and after (stored values)."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list: an entry and the change that says most about it."""

    entry: AuditEntry
    change: Change | None


@login_required
@never_cache
@require_safe
def listing(request: HttpRequest, entry_id: int | None = None) -> HttpResponse:
    """Entries that the user may read, newest first; 404 for one that is not theirs."""
    user = request.user
    if not isinstance(user, User) or not may_read(user):
        raise Http404
    entry = find(user, entry_id) if entry_id is not None else None
    if entry_id is not None and entry is None:
        raise Http404
    form = FilterForm(request.GET, label_suffix="")
    is_valid = form.is_valid()
    entries = form.narrow(AuditEntry.objects.all())
    cursor = request.GET.get(CURSOR, "")
    if cursor.isascii() and cursor.isdigit() and len(cursor) < 19:
        entries = entries.filter(pk__lt=int(cursor))
    try:
        rows = newest(readable(user), entries, PAGE + 1)
    except TooSlow:
        rows, too_slow = [], True
    else:
        too_slow = False
    chosen = urlencode({name: value for name, value in request.GET.items() if value and name != CURSOR})
    context = {
        "form": form,
        "rows": [Row(row, _main_change(row)) for row in rows[:PAGE]],
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "filtered": chosen,
        "page_query": request.GET.urlencode(),
        "too_slow": too_slow,
        "entry": entry,
        "changes": changes(entry) if entry else [],
        "way": WAYS[AuditEntry.Via(entry.via)] if entry else "",
    }
    return render(request, "audit/list.html", context, status=503 if too_slow else 200 if is_valid else 422)


def changes(entry: AuditEntry) -> list[Change]:
    """The entry's fields before and after, the status first, then by name."""
    before, after = _fields(masking.value(entry.before)), _fields(masking.value(entry.after))
    names = sorted(before.keys() | after.keys(), key=lambda name: (name != "status", name))
    return [Change(name, before.get(name), after.get(name)) for name in names]


def _main_change(entry: AuditEntry) -> Change | None:
    """The change of status, or the first other field that differs."""
    return next((change for change in changes(entry) if change.before != change.after), None)


def _fields(state: Any) -> dict[str, Any]:
    """A stored state as fields; one that is no mapping has a single field without a name."""
    if state is None:
        return {}
    return state if isinstance(state, dict) and "$" not in state else {"": state}
