"""What a person sees or hears of a page, and what of it is neither translated nor data."""

import re
from html.parser import HTMLParser

# Names, addresses and digests; what is typed or stored, and shown as it is.
ALLOWED = re.compile(
    r"AgentDesk|UTC|English|Deutsch|[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{4}…[0-9a-f]{4}\b|sha256:[0-9a-f]+…?|https?://\S+|\S+@\S+"
    r"|risk:high tool:refund arg\.amount>200 waiting>1h|\([a-z-]+\)$|^(?:pending|decided|expired|web)$"
    r"|^(?:Authenticators?|User sessions?|Search|True|False)$"  # packages that have not given these to translators
)
_UNSEEN = frozenset({"script", "style", "code", "pre", "kbd", "template"})  # machine text is shown as such
_ENDLESS = frozenset({"input", "img", "br", "hr", "meta", "link", "use", "rect", "col"})
_WORDS = frozenset({
    "aria-label", "title", "placeholder", "alt", "data-say", "data-none", "data-one", "data-many", "data-armed", "data-offline",
    "data-connecting", "data-ended", "data-label", "data-low", "data-medium", "data-high", "data-critical",
})  # fmt: skip


class Seen(HTMLParser):
    """Every visible text and every attribute with words in it, apart."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.texts, self._open, self._skip = [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.texts += [given[name] for name in _WORDS & given.keys() if given[name] and not self._skip]
        if tag == "input" and given.get("type") in ("submit", "button"):
            self.texts.append(given.get("value") or "")
        if tag in _ENDLESS:
            return
        is_data = tag in _UNSEEN or "data" in given or given.get("id") == "id_time_zone" or tag == "textarea"
        is_data = is_data or "json" in (given.get("class") or "").split()
        self._open.append((tag, is_data))
        self._skip += is_data

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _ENDLESS:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        while self._open:
            name, is_data = self._open.pop()
            self._skip -= is_data
            if name == tag:
                return

    def handle_data(self, text):
        if not self._skip and text.strip():
            self.texts.append(text.strip())


def untranslated(html):
    """The texts of a page in which words in narrow letters are left, each once."""
    return sorted({text for text in Seen(html).texts if re.search(r"[A-Za-z]{2,}", ALLOWED.sub("", text))})
