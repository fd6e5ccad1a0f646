"""What the desk's commands share: ``manage.py NOUN VERB``, tables for people, JSON for machines, one line for a refusal."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from agentdesk.live import push
from agentdesk.people.models import User
from agentdesk.wire import PAGE_MAX, PAGE_SIZE, shallow
from approvals.errors import ApprovalError
from runs.errors import RunError

FLUSH_SECONDS = 5.0
type Verb = Callable[..., None]


class Refused(CommandError):
    """The command did not do it; the message says why. Exit code 1."""


class VerbCommand(BaseCommand):
    """One noun with its verbs. A subclass adds them in :meth:`add_verbs` by :meth:`verb`."""

    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        self._verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        self.add_verbs()

    def add_verbs(self) -> None:
        raise NotImplementedError

    def verb(self, name: str, run: Verb, help: str) -> CommandParser:
        """Add one verb; ``run`` gets the parsed options by name."""
        parser: CommandParser = self._verbs.add_parser(name, help=help, description=help)
        parser.add_argument("--json", action="store_true", help="Print JSON for programs.")
        parser.set_defaults(run=run)
        return parser

    def handle(self, *args: Any, run: Verb, **options: Any) -> None:
        try:
            run(**options)
        except (ApprovalError, RunError) as error:
            raise Refused(_with_fields(error)) from error
        except DatabaseError as error:
            raise Refused(f"The database refused: {str(error).strip().splitlines()[0]}") from error
        finally:
            push.flush(FLUSH_SECONDS)

    def show(self, facts: dict[str, Any], *, as_json: bool) -> None:
        """Print one object: JSON, or a line for each fact that is there."""
        if as_json:
            self.print_json(facts)
            return
        width = max(len(name) for name in facts)
        for name, value in facts.items():
            if value not in (None, "", [], {}):
                self.stdout.write(f"{name:<{width}}  {_cell(value)}")

    def show_list(self, rows: Iterable[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
        """Print many objects: JSON with all facts, or a table of ``columns``."""
        rows = list(rows)
        if as_json:
            self.print_json(rows)
            return
        cells = [list(columns), *([_cell(row[column]) for column in columns] for row in rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
        for row in cells:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def print_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, indent=2, cls=DjangoJSONEncoder))


def actor(username: str | None) -> Actor:
    """Who acts: the user named by ``--as``, or whoever may run commands on this machine. Raises Refused."""
    return Actor("command line", AuditEntry.Via.CLI) if username is None else Actor.of(person(username), AuditEntry.Via.CLI)


def person(username: str) -> User:
    """The active user of that name. Raises Refused."""
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise Refused(f"There is no active user {username!r}.")
    return user


def add_as(parser: CommandParser, *, required: bool = False) -> None:
    parser.add_argument("--as", dest="username", metavar="USER", required=required, help="Act as this user.")


def add_limit(parser: CommandParser) -> None:
    parser.add_argument(
        "--limit", type=_limit, default=PAGE_SIZE, metavar="N", help=f"At most this many, {PAGE_MAX} at the most."
    )


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= PAGE_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {PAGE_MAX}")
    return int(text)


def json_of(text: str | None, option: str) -> Any:
    """The value of an option that takes JSON, or ``@FILE`` (``@-``: standard input). Raises Refused."""
    if text is None:
        return None
    try:
        if text.startswith("@"):
            text = sys.stdin.read() if text == "@-" else Path(text[1:]).read_text(encoding="utf-8")
        return shallow(json.loads(text))
    except OSError as error:
        raise Refused(f"{option}: cannot read {text[1:]}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Refused(f"{option}: {text[1:]} is not UTF-8 text.") from error
    except (ValueError, RecursionError) as error:
        raise Refused(f"{option} is not JSON that can be used: {error}.") from error


def _cell(value: Any) -> str:
    """One value on one line. Characters that a terminal would act upon come from agents too, so they are shown escaped."""
    if isinstance(value, dict | list):
        value = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _with_fields(error: ApprovalError | RunError) -> str:
    """The message, followed by what is wrong with each field."""
    fields: dict[str, list[str]] = getattr(error, "errors", None) or {}
    problems = [f"{path}: {' '.join(texts)}" if path else " ".join(texts) for path, texts in fields.items()]
    return _cell(" ".join([str(error), *problems]))
