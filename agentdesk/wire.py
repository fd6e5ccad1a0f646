"""What enters and leaves by the API and the command line: bounded input, plain values, pages of a list."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from ninja import Schema
from pydantic import AfterValidator, Field

from agentdesk import masking
from agentdesk.digests import TAG, Json, decode
from agentdesk.people.models import User

MAX_DEPTH = 64
PAGE_SIZE = 50
PAGE_MAX = 200


class BadCursor(Exception):
    """The cursor is not one that this list gave out."""

    code = "invalid"
    status = 422


def caller(request: HttpRequest) -> User:
    """The owner of the token that came with the request. Raises TypeError where no token was asked for."""
    if not isinstance(request.user, User):
        raise TypeError("nobody is signed in")
    return request.user


def plain(stored: Json) -> Any:
    """Return a stored value as JSON for other programs: no type tags; decimals, dates and bytes as text, and numbers that
    JSON lacks (NaN, infinities) too. Meant for reading: :func:`agentdesk.digests.decode` gives the value itself."""
    if isinstance(stored, list):
        return [plain(item) for item in stored]
    if not isinstance(stored, dict):
        return stored
    if TAG not in stored:
        return {key: plain(item) for key, item in stored.items()}
    if stored[TAG] == "map":
        return _plain_map(stored.get("v"))
    value = decode(stored)
    return value if isinstance(value, int | str) else str(stored.get("v"))


def shown(stored: Json) -> Any:
    """The same with its secrets masked: what the API and the command line give to whoever reads."""
    return masking.value(plain(stored))


def _plain_map(pairs: Json) -> Any:
    """A mapping with keys that ``jsonb`` refuses; where a key is no text, a list of pairs."""
    plain_pairs = [[plain(part) for part in pair] for pair in _lists(pairs)]
    if all(isinstance(pair[0], str) for pair in plain_pairs):
        return {pair[0]: pair[1] for pair in plain_pairs}
    return plain_pairs


def _lists(value: Json) -> Iterable[list[Json]]:
    return [item for item in value if isinstance(item, list)] if isinstance(value, list) else []


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("may not contain NUL characters")
    return text


def shallow(value: Any) -> Any:
    """Refuse what is nested deeper than any tool's arguments, before something recursive meets it."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return value
    raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


Text = Annotated[str, AfterValidator(_no_nul)]
Value = Annotated[Any, AfterValidator(shallow)]
Args = Annotated[dict[str, Any], AfterValidator(shallow)]
Limit = Annotated[int, Field(ge=1, le=PAGE_MAX)]

REFUSALS = frozenset({401, 403, 404, 409, 413, 422})


class Page[Item](Schema):
    """One page of a list. ``next`` goes into ``cursor`` of the next request; null: this was the last page."""

    items: list[Item]
    next: str | None


class ErrorBody(Schema, extra="allow"):
    """``code`` is for programs and stays; ``message`` is for people and may change."""

    code: str
    message: str


class Failure(Schema):
    error: ErrorBody


@dataclass(frozen=True, slots=True)
class Slice[M: models.Model]:
    """Rows of one page, and the cursor of the next one (None: there is none)."""

    rows: list[M]
    next: str | None


def slice_of[M: models.Model](
    rows: models.QuerySet[M], cursor: str | None, limit: int = PAGE_SIZE, *, newest_first: bool = True
) -> Slice[M]:
    """One page of ``rows`` by primary key, so that a page costs the same wherever it lies and none is shown twice while
    rows are added. Raises BadCursor."""
    rows = rows.order_by("-pk" if newest_first else "pk")
    if cursor:
        rows = rows.filter(**{"pk__lt" if newest_first else "pk__gt": _key(rows.model, cursor)})
    found = list(rows[: limit + 1])
    return Slice(found[:limit], str(found[limit - 1].pk) if len(found) > limit else None)


def _key(model: type[models.Model], cursor: str) -> Any:
    try:
        return model._meta.pk.to_python(cursor)
    except ValidationError as error:
        raise BadCursor(BadCursor.__doc__) from error
