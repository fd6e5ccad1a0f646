"""Logs as JSON lines, carrying the ids of the run and the approval that they are about."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from agentdesk import masking

_about: ContextVar[dict[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed in place


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Log lines inside carry these ids, e.g. ``about(run=run.id)``."""
    token = _about.set({**_about.get(), **{key: str(value) for key, value in ids.items()}})
    try:
        yield
    finally:
        _about.reset(token)


def ids() -> dict[str, str]:
    """The ids that log lines carry here."""
    return _about.get()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, ids, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": masking.text(record.getMessage()),
            **_about.get(),
        }
        if record.exc_info:
            line["traceback"] = masking.text(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)
