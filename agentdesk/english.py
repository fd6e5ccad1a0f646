"""What is stored, and what agents read, is in English, whatever language the one who acts reads.

Words that only a page shows are made while it is rendered, in its language. Words that are written down are made under
:func:`in_english`. A refusal is both: it is shown to who is refused and put on record, so its words are made when they are
asked for (:func:`later`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from django.utils import translation
from django.utils.functional import lazy

SOURCE = "en"  # the language in which the desk's own words are written


@contextmanager
def in_english() -> Iterator[None]:
    """The language of everything that is written down; also a decorator."""
    with translation.override(SOURCE):
        yield


def later(words: Callable[[], str]) -> str:
    """The text of ``words``, made each time it is read, in the language of whoever reads it then."""
    return cast(str, _lazily(words))


_lazily: Callable[[Callable[[], str]], object] = lazy(lambda words: words(), str)
