"""Effects that a test can count from outside: one line in a file for each."""

import json
import os
from pathlib import Path
from typing import Any


def note(effect: str, **facts: Any) -> None:
    """Append one effect to the file named by EFFECTS_FILE. A line is written at once or not at all."""
    line = json.dumps({"effect": effect, **facts}, sort_keys=True) + "\n"
    with Path(os.environ["EFFECTS_FILE"]).open("a") as file:
        file.write(line)
