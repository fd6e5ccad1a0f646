"""Texts from outside, as the database can hold them: PostgreSQL refuses NUL and lone surrogates."""

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_storable(text: str) -> bool:
    return not _UNSTORABLE.search(text)


def storable(text: str) -> str:
    """``text`` with U+FFFD where the database would refuse a character."""
    return _UNSTORABLE.sub("\ufffd", text)
