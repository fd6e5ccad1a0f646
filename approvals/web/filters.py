"""The inbox's filter line: ``risk:high agent:support order 48213``. Unknown words are looked for in action and agent."""

from dataclasses import dataclass
from typing import Self

from django.db.models import Q

from approvals.states import Risk

LONGEST = 200  # characters of a filter that are read


@dataclass(frozen=True, slots=True)
class Filter:
    """What the reader typed, taken apart."""

    text: str = ""
    risk: str = ""
    agent: str = ""
    action: str = ""
    words: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Never fails: what is not understood is searched for."""
        named = {"risk": "", "agent": "", "action": ""}
        words = []
        for token in text[:LONGEST].split():
            name, colon, value = token.partition(":")
            name = {"tool": "action"}.get(name, name)
            if colon and value and name in named and (name != "risk" or value in Risk.values):
                named[name] = value
            else:
                words.append(token)
        return cls(text=" ".join(text[:LONGEST].split()), words=tuple(words), **named)

    def __bool__(self) -> bool:
        return bool(self.text)

    def condition(self) -> Q:
        """As a condition on approvals."""
        found = Q()
        if self.risk:
            found &= Q(risk=self.risk)
        if self.agent:
            found &= Q(agent__icontains=self.agent)
        if self.action:
            found &= Q(action__icontains=self.action)
        for word in self.words:
            found &= Q(action__icontains=word) | Q(agent__icontains=word) | Q(args__icontains=word)
        return found
