"""The shop's rules, as the system prompt states them."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class ShopRules:
    """Rule texts by topic, the days a return is possible (None: the prompt does not say), and the signature."""

    by_topic: dict[str, str]
    return_days: int | None
    signature: str


def read_rules(prompt: str) -> ShopRules:
    """Read the lines "- Topic: rule" and "Sign every e-mail as: …" of a system prompt."""
    by_topic = dict(re.findall(r"^- ([^:\n]+): (.+)$", prompt, re.M))
    days = re.search(r"within (\d+) days after delivery", prompt)
    signature = re.search(r"^Sign every e-mail as: (.+)$", prompt, re.M)
    return ShopRules(by_topic, int(days[1]) if days else None, signature[1].strip() if signature else "Customer support")
