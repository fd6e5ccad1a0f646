"""The rules as a file: what was written out comes back the same, and a file is put in force as a whole or not at all."""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from agentdesk.audit.models import AuditEntry
from agentdesk.audit.record import Actor
from approvals.models import PolicyVersion, Rule
from approvals.policy.exchange import BadPolicy, export, put_in_force, read
from approvals.policy.versions import publish, snapshot
from tests.cast import Cast, make_cast

SMALL = """
rules:
  - name: Small refunds
    team: support
    agent: support
    action: issue_refund
    conditions: [{path: amount, op: "<=", value: 50}]
    verdict: allow
  - name: Big ones need two
    action: issue_refund
    conditions: [{path: amount, op: ">", value: 500}]
    verdict: ask
    reviewer_teams: [support, warehouse]
    count: 2
    expires_after: 3600.0
    second_factor: true
"""


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def by(cast: Cast) -> Actor:
    return Actor.of(cast.admin)


def test_a_file_is_put_in_force_and_written_out_the_same(cast: Cast):
    done = put_in_force(SMALL, by(cast), "From git.")
    assert done.version is not None
    assert [(change.name, change.kind) for change in done.changes] == [
        ("Small refunds", "added"),
        ("Big ones need two", "added"),
    ]
    big = Rule.objects.get(name="Big ones need two")
    assert (big.count, set(big.reviewer_teams.all())) == (2, {cast.support, cast.warehouse})
    entry = AuditEntry.objects.get(action="policy.imported")
    assert (entry.policy_version, entry.actor_id) == (done.version.pk, cast.admin.pk)

    before = [snapshot(rule) for rule in Rule.objects.order_by("pk")]
    again = put_in_force(export(Rule.objects.order_by("pk")), by(cast), "Again.")
    assert (again.version, again.changes) == (None, [])
    assert [snapshot(rule) for rule in Rule.objects.order_by("pk")] == before
    assert PolicyVersion.objects.count() == 1


def test_an_entry_without_an_id_means_the_rule_of_that_name(cast: Cast):
    put_in_force(SMALL, by(cast), "")
    small = Rule.objects.get(name="Small refunds")
    done = put_in_force(SMALL.replace("value: 50}", "value: 80}"), by(cast), "More.")
    assert [(change.name, [part for part, *_ in change.parts]) for change in done.changes] == [
        ("Small refunds", ["conditions"])
    ]
    assert Rule.objects.get(pk=small.pk).conditions[0]["value"] == 80
    assert Rule.objects.count() == 2


def test_rules_that_the_file_does_not_name_stay_or_are_switched_off(cast: Cast):
    kept = Rule.objects.create(name="By hand", verdict="deny")
    publish(None)
    put_in_force(SMALL, by(cast), "")
    kept.refresh_from_db()
    assert kept.mode == "active"
    done = put_in_force(SMALL, by(cast), "", replace=True)
    kept.refresh_from_db()
    assert (kept.mode, [(change.name, change.kind) for change in done.changes]) == ("off", [("By hand", "removed")])


def test_a_dry_run_tells_and_changes_nothing(cast: Cast):
    done = put_in_force(SMALL, by(cast), "", dry_run=True)
    assert (done.version, len(done.changes)) == (None, 2)
    assert not Rule.objects.exists()
    assert not PolicyVersion.objects.exists()


def entry(**parts: Any) -> str:
    good = {"name": "Good", "verdict": "ask"}
    return yaml.safe_dump({"rules": [good, {**good, "name": "Bad", **parts}]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [", "not YAML"),
        ("", "the file"),
        ("- 1", "the file"),
        ("rules: []\nmore: 1", "more"),
        (entry(verdict="perhaps"), "rule 2, verdict"),
        (entry(count=0), "rule 2, count"),
        (entry(priorty=1), "rule 2, priorty"),
        (entry(self_approval="yes"), "rule 2, self_approval"),
        (entry(conditions=[{"path": "a", "op": "~", "value": 1}]), "rule 2: Condition 1"),
        (entry(team="nobodies"), "rule 2: There is no team “nobodies”."),
        (entry(reviewer_teams=["nobodies"]), "rule 2: There is no team “nobodies”."),
        (entry(id="x"), "rule 2: “x” is no id"),
        (entry(name="Good"), "rule 2: Another entry of this file is the same rule."),
        (entry(name="n" * 201), "rule 2: "),
        (entry(priority=99999), "rule 2: "),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("a: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_a_bad_file_changes_nothing_and_is_told_by_its_place(cast: Cast, text: str, said: str):
    with pytest.raises(BadPolicy) as caught:
        put_in_force(text, by(cast), "")
    assert any(said in problem for problem in caught.value.problems), caught.value.problems
    assert not Rule.objects.exists()


def test_all_problems_are_told_at_once(cast: Cast):
    with pytest.raises(BadPolicy) as caught:
        read(yaml.safe_dump({"rules": [{"name": 1, "verdict": "x"}, {"verdict": "ask"}]}))
    assert len(caught.value.problems) == 3


def test_the_shell_writes_out_checks_and_takes_back(cast: Cast, tmp_path: Path):
    file = tmp_path / "policy.yaml"
    file.write_text(SMALL)
    told = io.StringIO()
    call_command("policy", "import", str(file), "--as", "admin", "--dry-run", stdout=told)
    assert "Nothing was changed." in told.getvalue()
    call_command("policy", "import", str(file), "--as", "admin", stdout=told)
    assert "is in force." in told.getvalue()
    out = io.StringIO()
    call_command("policy", "export", "--team", "support", stdout=out)
    assert [rule["name"] for rule in yaml.safe_load(out.getvalue())["rules"]] == ["Small refunds"]
    file.write_text("rules: [")
    with pytest.raises(CommandError, match="not YAML"):
        call_command("policy", "import", str(file))
    with pytest.raises(CommandError, match="No such file"):
        call_command("policy", "import", str(tmp_path / "none.yaml"))


def test_the_shell_says_what_looks_wrong(cast: Cast):
    call_command("policy", "lint")
    broken = {"conditions": [{"path": "amount", "op": ">", "value": 5}, {"path": "amount", "op": "<", "value": 5}]}
    Rule.objects.create(name="Never", verdict="allow", **broken)
    publish(None)
    told = io.StringIO()
    with pytest.raises(CommandError, match="1 findings"):
        call_command("policy", "lint", stdout=told)
    assert "Never" in told.getvalue()
