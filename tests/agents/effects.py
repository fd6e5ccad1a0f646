"""Effects that a test can count from outside: one line in a file for each."""

import json
import os
from pathlib import Path
from typing import Any


def note(effect: str, **facts: Any) -> None:
    """Append one effect to the file named by EFFECTS_FILE, or to effects.jsonl in the desk's folder. A line is written at once
    or not at all."""
    line = json.dumps({"effect": effect, **facts}, sort_keys=True) + "\n"
    with _file().open("a") as file:
        file.write(line)


def noted(effect: str, **facts: Any) -> list[dict[str, Any]]:
    """The effects so far that are of this kind and have these facts."""
    lines = [json.loads(line) for line in _file().read_text().splitlines()]
    return [line for line in lines if {"effect": effect, **facts}.items() <= line.items()]


def _file() -> Path:
    return Path(os.environ.get("EFFECTS_FILE") or f"{os.environ['AGENTDESK_STATE_DIR']}/effects.jsonl")
