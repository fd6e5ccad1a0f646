"""Makes fragments fit to stand on one page beside others like them: ids of their own, and nothing that acts or leads away."""

import re

from django.utils.safestring import SafeString, mark_safe

# Attributes that hold one id, or several with spaces between them.
_IDS = re.compile(
    r"(?<= )(id|for|form|list|aria-labelledby|aria-describedby|aria-controls|data-arm-after|data-changes|data-changes-count)"
    r'="([^"]+)"'
)
# Of folds and radio buttons that share a name, only one is open or chosen in the whole page.
_NAMED = re.compile(r'(<details\b[^>]*?|<input type="radio"[^>]*?) name="([^"]+)"')
# What htmx, the socket and the keys would act on; a page without their scripts needs none of it.
_ACTS = re.compile(r' (?:hx-[a-z:-]+|data-(?:watch|refetch|key|preview|focus|fresh|stream|arm|arm-key))(?:="[^"]*")?(?=[\s>/])')
_POSTS = re.compile(r'<form\b([^>]*?) method="(?:post|get)"([^>]*)>')
_ACTION = re.compile(r' (?:action|formaction)="[^"]*"')
_LINK = re.compile(r'<a\b([^>]*?) href="[^"]*"')
_TARGET = re.compile(r' (?:target|rel)="[^"]*"')


def apart(html: str, name: str) -> SafeString:
    """``html``, a template's own output, with ``name`` before each of its ids, its links leading to the sample ``name`` itself
    and its forms sent nowhere: a form of the kind "dialog" outside of one does nothing."""
    html = _ACTS.sub("", html)
    html = _IDS.sub(lambda match: f'{match[1]}="{" ".join(f"{name}-{one}" for one in match[2].split())}"', html)
    html = _NAMED.sub(rf'\1 name="{name}-\2"', html)
    html = _POSTS.sub(r'<form\1 method="dialog"\2>', _ACTION.sub("", html))
    html = _LINK.sub(rf'<a\1 href="#{name}"', _TARGET.sub("", html))
    return mark_safe(html)  # noqa: S308 - templates' output, and ids put into it
