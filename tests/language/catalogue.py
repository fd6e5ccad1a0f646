"""The catalogues of translations: brought up to date, read and compiled. ``make messages`` runs this.

New and changed texts are found by Django's ``makemessages``, which needs GNU gettext. Everything else is done here, without it,
so that tests compare the catalogues wherever they run, and the same texts always make the same files.
"""

import ast
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCALE = ROOT / "locale"
SEARCHED = ("agentdesk", "approvals", "runs", "templates")
CONTEXT = "\x04"  # stands between a context and its text, in compiled catalogues too
_CALLS = {"_": 1, "gettext": 1, "gettext_lazy": 1, "gettext_noop": 1, "ngettext": 2, "ngettext_lazy": 2}
_TEMPLATE_CALL = re.compile(r"""\b(n?gettext)\(((?:u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?:, *)?)+)""")
_HEADER = """Project-Id-Version: AgentDesk
Language: {language}
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
Plural-Forms: {plurals}
"""


@dataclass
class Entry:
    """One text: its singular, its plural or an empty one, and the translations, one for each form."""

    msgid: str
    plural: str = ""
    strings: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def is_translated(self) -> bool:
        return bool(self.strings) and all(self.strings) and "fuzzy" not in self.flags


def read(path: Path) -> dict[str, Entry]:
    """The entries of a .po file by their singular; the header is that of the empty text."""
    entries: dict[str, Entry] = {}
    entry, at = Entry(""), ""
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if not line.strip():
            if entry.strings:
                entries[entry.msgid] = entry
            entry, at = Entry(""), ""
        elif line.startswith("#,"):
            entry.flags |= {flag.strip() for flag in line[2:].split(",")}
        elif line.startswith("#."):
            entry.notes.append(line[2:].strip())
        elif not line.startswith("#"):
            keyword, _space, rest = line.partition(" ") if not line.startswith('"') else (at, "", line)
            text = ast.literal_eval(rest)
            if keyword.startswith("msgstr"):
                if keyword != at:
                    entry.strings.append("")
                entry.strings[-1] += text
            elif keyword == "msgid":
                entry.msgid += text
            elif keyword == "msgid_plural":
                entry.plural += text
            else:
                raise ValueError(f"{path}: {keyword} is not used here")
            at = keyword
    return entries


def write(path: Path, entries: dict[str, Entry], language: str) -> None:
    """The .po file: sorted, one line for each text, without dates and places."""
    plurals = _plural_forms(entries)
    parts = [_as_text(Entry("", strings=[_HEADER.format(language=language, plurals=plurals)]))]
    parts += [_as_text(entries[msgid]) for msgid in sorted(entries) if msgid]
    path.write_text("\n".join(parts), encoding="utf-8")


def compiled(entries: dict[str, Entry]) -> bytes:
    """The .mo file of these entries: what is translated, in the order of its bytes."""
    pairs = []
    for msgid, entry in entries.items():
        if msgid and not entry.is_translated:
            continue
        key = f"{msgid}\0{entry.plural}" if entry.plural else msgid
        pairs.append((key.encode(), "\0".join(entry.strings).encode()))
    pairs.sort()
    texts, places, at = b"", [], 28 + 16 * len(pairs)
    for column in (0, 1):
        for pair in pairs:
            places.append((len(pair[column]), at + len(texts)))
            texts += pair[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 28 + 16 * len(pairs))
    return head + b"".join(struct.pack("<2I", *place) for place in places) + texts


def used() -> dict[str, str]:
    """Every text that templates and code have translated, with its plural or an empty one."""
    found: dict[str, str] = {}
    for folder in SEARCHED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix == ".py" and "migrations" not in path.parts:
                found |= dict(_in_code(path.read_text(encoding="utf-8")))
            elif path.suffix in (".html", ".txt"):
                found |= dict(_in_template(path.read_text(encoding="utf-8")))
    return found


def _in_code(source: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            texts = [arg.value for arg in node.args[: _CALLS[node.func.id]] if isinstance(arg, ast.Constant)]
            if texts and isinstance(texts[0], str) and texts[0]:
                yield texts[0], str(texts[1]) if len(texts) > 1 else ""


def _in_template(source: str) -> Iterator[tuple[str, str]]:
    from django.utils.translation import templatize

    for call in _TEMPLATE_CALL.finditer(templatize(source)):
        texts = ast.literal_eval(f"[{call[2]}]")
        yield texts[0], texts[1] if call[1] == "ngettext" else ""


def _plural_forms(entries: dict[str, Entry]) -> str:
    header = "\n".join(entries[""].strings) if "" in entries else ""
    found = re.search(r"Plural-Forms: *(.+)", header)
    return found[1].strip() if found else "nplurals=2; plural=(n != 1);"


def _as_text(entry: Entry) -> str:
    lines = [*(f"#. {note}" for note in entry.notes), *([f"#, {', '.join(sorted(entry.flags))}"] if entry.flags else [])]
    lines.append(f"msgid {_quoted(entry.msgid)}")
    if entry.plural:
        lines.append(f"msgid_plural {_quoted(entry.plural)}")
        lines += [f"msgstr[{number}] {_quoted(text)}" for number, text in enumerate(entry.strings)]
    else:
        parts = entry.strings[0].splitlines(keepends=True) if not entry.msgid else entry.strings
        lines.append("msgstr " + "\n".join(map(_quoted, ["", *parts] if len(parts) > 1 else parts)))
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
    return f'"{escaped}"'


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentdesk.settings")
    os.chdir(ROOT)  # makemessages looks from here
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    for language, _name in settings.LANGUAGES:
        if language == "en":
            continue
        folder = LOCALE / language / "LC_MESSAGES"
        folder.mkdir(parents=True, exist_ok=True)
        call_command(
            "makemessages", locale=[language], no_location=True, no_obsolete=True, no_wrap=True, verbosity=0,
            ignore_patterns=["tests", "benchmarks", "examples", "docs", "static", ".*", "build"],
        )  # fmt: skip
        path = folder / "django.po"
        write(path, read(path), language)
        compile_one(path)


def compile_one(path: Path) -> None:
    path.with_suffix(".mo").write_bytes(compiled(read(path)))


if __name__ == "__main__":
    main()
