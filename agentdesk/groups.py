"""Worker groups: each manifest of AGENTDESK_AGENTS has worker processes and a queue to itself, and possibly a Python.

With one manifest there is one group, ``runs``. Neither Django nor anything else of the desk is needed here: the supervisor
reads it too.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Group:
    """The workers of one manifest. ``name`` is that of its queue behind the desk's, ``label`` tells it from the others;
    ``python`` is the interpreter that its workers run in, or empty for the desk's own."""

    manifest: str
    python: str
    label: str
    name: str

    def queue(self, instance: str) -> str:
        return f"{instance}.{self.name}"


def groups(agents: Sequence[str]) -> list[Group]:
    """The groups for the entries of AGENTDESK_AGENTS: ``PATH/langgraph.json``, or ``PATH/langgraph.json@PATH/python``."""
    entries = [_parts(entry) for entry in agents if entry.strip()]
    labels = [_label(manifest) for manifest, _ in entries]
    own = [
        label if labels.count(label) == 1 else f"{label}-{hashlib.sha256(manifest.encode()).hexdigest()[:6]}"
        for label, (manifest, _) in zip(labels, entries, strict=True)
    ]
    names = ["runs"] if len(own) == 1 else [f"runs.{label}" for label in own]
    return [Group(*parts, label, name) for parts, label, name in zip(entries, own, names, strict=True)]


def group_of(manifest: str, agents: Sequence[str]) -> Group | None:
    """The group that a manifest belongs to; the first one for a manifest that is no longer named, so that somebody says so.
    None when no manifest is named at all."""
    found = groups(agents)
    return next((group for group in found if group.manifest == manifest), found[0] if found else None)


def _parts(entry: str) -> tuple[str, str]:
    manifest, at, python = entry.strip().partition(".json@")
    return str(Path(f"{manifest}.json" if at else manifest)), python


def _label(manifest: str) -> str:
    """The name of the project's folder, as a queue and a process may be called."""
    return re.sub(r"[^a-z0-9]+", "-", Path(manifest).resolve().parent.name.lower()).strip("-")[:30] or "agents"
