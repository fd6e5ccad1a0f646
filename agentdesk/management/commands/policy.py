"""``manage.py policy``: the rules as a file for review in git, and back."""

import sys
from pathlib import Path
from typing import Any

from agentdesk.management.verbs import Refused, VerbCommand, actor, add_as
from approvals.models import Rule, Tool
from approvals.policy.exchange import BadPolicy, export, put_in_force
from approvals.policy.lint import Known, lint
from approvals.policy.versions import current


class Command(VerbCommand):
    help = "Write the rules into a YAML file, put a file in force, say what looks wrong."

    def add_verbs(self) -> None:
        out = self.verb("export", self.export, "Print the rules as YAML.")
        out.add_argument("--team", metavar="SLUG", help="Only the rules of this team.")
        back = self.verb("import", self.put_in_force, "Put a file in force, all of it or nothing.")
        back.add_argument("file", metavar="FILE", help="A YAML file as `export` prints it; - for standard input.")
        back.add_argument("--reason", default="Imported from a file.", metavar="TEXT", help="Kept with the policy version.")
        back.add_argument("--replace", action="store_true", help="Switch off every rule that the file does not name.")
        back.add_argument("--dry-run", action="store_true", help="Only say what would change.")
        add_as(back)
        self.verb("lint", self.lint, "Say what looks wrong in the rules; exit code 1 when something does.")

    def export(self, *, team: str | None, **options: Any) -> None:
        rules = Rule.objects.select_related("team").prefetch_related("reviewer_teams").order_by("pk")
        if team is not None:
            rules = rules.filter(team__slug=team)
        self.stdout.write(export(rules), ending="")

    def put_in_force(self, *, file: str, reason: str, replace: bool, dry_run: bool, **options: Any) -> None:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
            done = put_in_force(text, actor(options["username"]), reason, replace=replace, dry_run=dry_run)
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{file}: {error}") from error
        except BadPolicy as error:
            raise Refused("\n".join(error.problems)) from error
        rows = [
            {"rule": change.name, "what": change.kind, "parts": [part for part, *_ in change.parts]} for change in done.changes
        ]
        self.show_list(rows, ("rule", "what", "parts"), as_json=options["json"])
        if not options["json"]:
            in_force = f"Version {done.version.pk} is in force." if done.version else "Nothing was changed."
            self.stdout.write(in_force)

    def lint(self, **options: Any) -> None:
        wanted = ("agent", "name", "team", "effect", "schema", "results")
        tools = [Known(agent, name, str(team), *more) for agent, name, team, *more in Tool.objects.values_list(*wanted)]
        rows = [{"rule": found.name, "kind": found.kind, "text": found.text} for found in lint(current()[1], tools)]
        self.show_list(rows, ("rule", "kind", "text"), as_json=options["json"])
        if rows:
            raise Refused(f"{len(rows)} findings.")
