"""Reference pictures and layouts: read, written, compared. What differs is left in test-results/screens."""

import base64
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

HERE = Path(__file__).parent
KEPT = HERE / "kept"
FOUND = Path("test-results/screens")
PIXELS = 3  # so far a thing may stand from where it stood; hinting of another machine moves less


def png(width: int, height: int, palette: list[list[int]], pixels: bytes) -> bytes:
    """A picture with a palette, as small as zlib makes it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    colours = b"".join(bytes(colour) for colour in palette)
    parts = [(b"IHDR", head), (b"PLTE", colours), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def moved(kept: list[Any], now: list[Any]) -> list[str]:
    """What of a layout is elsewhere, gone or new, in words."""
    found = []
    for (kind, words, was), (other, said, place) in zip(kept, now, strict=False):
        if (kind, words) != (other, said):
            found.append(f"{kind} “{words}” was here, now {other} “{said}”")
            break  # whatever follows is out of step
        if max(abs(a - b) for a, b in zip(was, place, strict=True)) > PIXELS:
            found.append(f"{kind} “{words}” was at {was}, is at {place}")
    if len(kept) != len(now):
        found.append(f"{len(kept)} things were here, now {len(now)}")
    return found


class Album:
    """The references, and a page that compares pictures. With ``renews`` it writes instead."""

    def __init__(self, scale: Page, *, renews: bool, kept: Path = KEPT) -> None:
        self.scale, self.renews, self.kept = scale, renews, kept
        self.problems: list[str] = []
        scale.add_script_tag(content=(HERE / "compare.js").read_text())

    def check(self, name: str, taken: bytes) -> None:
        """Compare a picture with the one that is kept under ``name``."""
        path = self.kept / f"{name}.png"
        now = base64.b64encode(taken).decode()
        if self.renews:
            packed = self.scale.evaluate("(taken) => pictures.pack(taken)", now)
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = png(packed["width"], packed["height"], packed["palette"], base64.b64decode(packed["pixels"]))
            path.write_bytes(picture)
            return
        if not path.exists():
            self._tell(name, "there is no reference", taken)
            return
        kept = base64.b64encode(path.read_bytes()).decode()
        told = self.scale.evaluate("([kept, taken]) => pictures.compare(kept, taken)", [kept, now])
        if told["size"]:
            self._tell(name, f"was {told['size'][0]}, is {told['size'][1]} (halved pixels)", taken)
        elif told["tiles"]:
            where = ", ".join(f"{x},{y}" for x, y in told["tiles"][:6])
            self._tell(name, f"{len(told['tiles'])} tiles differ, the first at {where}", taken, told["picture"])

    def check_layout(self, width: int, theme: str, name: str, found: "dict[str, list[Thing]]") -> None:
        """Compare what stands where, which no theme changes, and which colours each kind of thing has, which no place does."""
        places = {part: [[one.kind, one.words, one.place] for one in things] for part, things in found.items()}
        self._check_places(f"{name}-{width}", places)
        colours: dict[str, set[str]] = {}
        for one in (one for things in found.values() for one in things):
            colours.setdefault(one.kind, set()).add(one.colours)
        self._check_colours(f"{name}-{width}-{theme}", {kind: sorted(seen) for kind, seen in sorted(colours.items())})

    def _check_colours(self, name: str, found: dict[str, list[str]]) -> None:
        path = self.kept / f"{name}-colours.json"
        if self.renews:
            path.write_text(json.dumps(found, indent=1) + "\n")
            return
        kept = json.loads(path.read_text()) if path.exists() else {}
        wrong = [kind for kind in kept.keys() | found.keys() if kept.get(kind) != found.get(kind)]
        self.problems += [
            f"{name}: the colours of {kind} were {kept.get(kind)}, are {found.get(kind)}" for kind in sorted(wrong)
        ]

    def _check_places(self, name: str, found: dict[str, list[Any]]) -> None:
        path = self.kept / f"{name}.json"
        if self.renews:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [f"  {json.dumps(part)}: [\n{_listed(things)}\n  ]" for part, things in found.items()]
            path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
            return
        kept = json.loads(path.read_text()) if path.exists() else {}
        for part in kept.keys() | found.keys():
            self.problems += [f"{name}, {part}: {text}" for text in moved(kept.get(part, []), found.get(part, []))]

    def _tell(self, name: str, text: str, taken: bytes, difference: str = "") -> None:
        place = FOUND / name.replace("/", "-")
        FOUND.mkdir(parents=True, exist_ok=True)
        place.with_suffix(".png").write_bytes(taken)
        if difference:
            place.with_name(place.name + "-differs.png").write_bytes(base64.b64decode(difference))
        self.problems.append(f"{name}: {text}; see {place}.png and the reference {self.kept.name}/{name}.png")


def _listed(things: list[Any]) -> str:
    return ",\n".join("    " + json.dumps(one, ensure_ascii=False) for one in things)


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing on a page: its element with classes, the beginning of its words, [x, y, width, height] in pixels, and its
    computed colours (words, ground, upper edge)."""

    kind: str
    words: str
    place: list[int]
    colours: str


def layout_of(place: Locator) -> list[Thing]:
    """The things inside ``place``."""
    return [Thing(**one) for one in place.evaluate((HERE / "layout.js").read_text())]
