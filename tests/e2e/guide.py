"""A how-to, read by the test that follows it: what is on a page and what is typed comes from the text, in its order."""

import re
from pathlib import Path

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
_BLOCK = re.compile(r"^```\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_TOLD = re.compile(r"\*\*(.+?)\*\*|`([^`\n]+)`|\x00(\d+)\x00")


class Guide:
    """The names (bold), the typed texts (code) and the blocks of a how-to's steps, one after the other."""

    def __init__(self, name: str) -> None:
        _before, _heading, steps = (HOW_TO / name).read_text(encoding="utf-8").partition("\n## ")
        blocks = _BLOCK.findall(steps)
        numbers = iter(range(len(blocks)))
        steps = _BLOCK.sub(lambda _found: f"\x00{next(numbers)}\x00", steps)
        self._left = [
            blocks[int(block)] if block else " ".join((bold or code).split()) for bold, code, block in _TOLD.findall(steps)
        ]

    def next(self, *expected: str) -> str:
        """The next thing that the how-to tells; with ``expected``, it has to be that."""
        assert self._left, f"the how-to ends before {expected}"
        told = self._left.pop(0)
        assert not expected or told == expected[0], f"the how-to says {told!r} where the test does {expected[0]!r}"
        return told

    def field(self, expected: str) -> tuple[str, str]:
        """A field that is named, and what is typed into it."""
        return self.next(expected), self.next()

    def is_done(self) -> bool:
        """Whether every step was followed."""
        return not self._left
