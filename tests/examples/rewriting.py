"""The example's data with other people, numbers and amounts: the same stories, nothing the agent could know by heart."""

import random
import re
from collections.abc import Callable
from typing import Any

FIRST = [
    "Aino",
    "Bruno",
    "Carla",
    "Dario",
    "Elif",
    "Farid",
    "Gitta",
    "Henrik",
    "Ilona",
    "Jasper",
    "Katja",
    "Leopold",
    "Mirela",
    "Nestor",
    "Oona",
    "Pavel",
    "Quentin",
]
LAST = [
    "Abril",
    "Bakker",
    "Ceulemans",
    "Dragan",
    "Eskola",
    "Ferreira",
    "Gonda",
    "Hristov",
    "Ibsen",
    "Jurgens",
    "Kallas",
    "Lopatin",
    "Morandi",
    "Nyberg",
    "Orban",
]
# Written 240.00, 1,860.00, 44,00 € or ¥12,800.
AMOUNT = re.compile(r"(?P<point>\b\d[\d,]*\.\d{2}\b)|(?P<comma>\b\d+,\d{2}\b)(?=\s?€)|(?<=¥)(?P<yen>[\d,]+)")


class Rewriter:
    """Rewrites any text of one set of data in the same way, so that what belonged together still does."""

    def __init__(self, seed: int, *texts: str) -> None:
        self._random = random.Random(seed)
        self.factor = self._random.randint(2, 9)
        everything = "\n".join(texts)
        self.words: dict[str, str] = {}
        self._rename(sorted(set(re.findall(r"[\w.+-]+@example\.\w+", everything))), self._address)
        self._rename(self._names(everything), self._name)
        self._rename(
            sorted(set(re.findall(r"\b4[78]\d{3}\b", everything))), lambda: str(self._random.randint(100_000, 999_999))
        )
        self._rename(sorted(set(re.findall(r"\bC-\d+\b", everything))), lambda: f"C-{self._random.randint(5000, 9999)}")
        self._rename(sorted(set(re.findall(r"\bT-\d+\b", everything))), lambda: f"T-{self._random.randint(5000, 9999)}")
        longest_first = sorted(self.words, key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![\w@])(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def __call__(self, text: str) -> str:
        return AMOUNT.sub(self._scaled, self._pattern.sub(lambda found: self.words[found[0]], text))

    def data(self, value: Any) -> Any:
        """The same structure with every text in it rewritten, keys too."""
        if isinstance(value, dict):
            return {self(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item) for item in value]
        return self(value) if isinstance(value, str) else value

    def _rename(self, old: list[str], new: Callable[[], str]) -> None:
        for word in old:
            taken = set(self.words.values()) | set(self.words)
            self.words[word] = next(made for made in iter(new, None) if made not in taken)

    def _names(self, text: str) -> list[str]:
        people = re.findall(r'"name": "([^"]+)"', text) + re.findall(r'"sender": "([^"<]+) <', text)
        return sorted({word for name in people for word in name.split()})

    def _name(self) -> str:
        return self._random.choice(FIRST).replace("o", "oi") + self._random.choice(LAST).lower()

    def _address(self) -> str:
        return (
            f"{self._random.choice(FIRST)}.{self._random.choice(LAST)}{self._random.randint(1, 99)}@rewritten.example".lower()
        )

    def _scaled(self, found: re.Match[str]) -> str:
        if found["yen"]:
            return f"{int(found['yen'].replace(',', '')) * self.factor:,}"
        cents = int(re.sub(r"[.,]", "", found[0])) * self.factor
        grouped = "," in (found["point"] or "")
        whole = f"{cents // 100:,}" if grouped else str(cents // 100)
        return f"{whole}{',' if found['comma'] else '.'}{cents % 100:02}"
