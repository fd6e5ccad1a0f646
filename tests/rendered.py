"""Rendered forms, read as a browser reads them."""

from html.parser import HTMLParser

from django.http import QueryDict


class Browser(HTMLParser):
    """Reads a rendered form as a browser does, and posts it. Controls of arguments are named without their prefix."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.pairs: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.name, self.select = "", ""
        self.text: str | None = None
        self.first: str | None = None
        self.chosen: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given_attrs = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "input" and (given_attrs.get("type") not in ("checkbox", "radio") or "checked" in given_attrs):
            self.pairs.append((given_attrs["name"], given_attrs.get("value", "").replace("\n", "").replace("\r", "")))
        elif tag == "textarea":
            self.name, self.text = given_attrs["name"], ""
        elif tag == "select":
            self.select, self.first, self.chosen = given_attrs["name"], None, None
        elif tag == "option":
            self.first = given_attrs["value"] if self.first is None else self.first
            if "selected" in given_attrs:
                self.chosen = given_attrs["value"]

    def handle_data(self, data: str) -> None:
        if self.text is not None:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.text is not None:
            text = self.text.replace("\r\n", "\n").removeprefix("\n")
            self.pairs.append((self.name, text.replace("\r", "\n").replace("\n", "\r\n")))
            self.text = None
        elif tag == "select":
            self.pairs.append((self.select, self.chosen if self.chosen is not None else self.first or ""))

    def post(self, **changes: str) -> QueryDict:
        data = QueryDict(mutable=True)
        for name, value in self.pairs:
            if name.removeprefix("args-") not in changes:
                data.appendlist(name, value)
        for name, value in changes.items():
            data.appendlist(f"args-{name}", value)
        return data
