"""Stored values and their digests.

A tool's arguments come from Python and from models, and hold more than JSON can: integers beyond 2**53, decimals, NUL
characters, lone surrogates. :func:`encode` turns any of it into JSON that PostgreSQL's ``jsonb`` takes and that
:func:`decode` turns back unchanged; whatever lies outside JSON's domain carries a type tag (``{"$": kind, "v": text}``).
Digests are SHA-256 over the canonical form of that (RFC 8785), so one value has one digest wherever it is computed.
"""

import base64
import dataclasses
import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import rfc8785

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

TAG = "$"
SAFE_INTEGER = 2**53 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def encode(value: Any) -> Json:
    """Return ``value`` as JSON that ``jsonb`` can hold. Never raises for a type: what is unknown is stored as its
    ``repr`` under the tag ``repr`` (shown to people, not decodable to the original)."""
    match value:
        case None | bool():
            return value
        case Enum():
            return encode(value.value)
        case int():
            return value if abs(value) <= SAFE_INTEGER else _tagged("int", str(value))
        case float():
            # jsonb writes 1e16 out in full, and reading would make an integer of it.
            return value if abs(value) <= SAFE_INTEGER else _tagged("float", repr(value))
        case str():
            return _tagged("str", _escape(value)) if _UNSTORABLE.search(value) else value
        case Decimal():
            return _tagged("decimal", str(value))
        case bytes() | bytearray() | memoryview():
            return _tagged("bytes", base64.b64encode(bytes(value)).decode())
        case dt.datetime():
            return _tagged("datetime", value.isoformat())
        case dt.date():
            return _tagged("date", value.isoformat())
        case dt.time():
            return _tagged("time", value.isoformat())
        case UUID():
            return _tagged("uuid", str(value))
        case Mapping():
            return _encode_mapping(value)
        case set() | frozenset():
            return [encode(item) for item in sorted(value, key=repr)]
        case Sequence():
            return [encode(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return encode({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return encode(dump())
    return _tagged("repr", _escape(repr(value)))


def decode(value: Json) -> Any:
    """Return what :func:`encode` was given (mappings as ``dict``, sequences as ``list``)."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: decode(item) for key, item in value.items()}
    kind, inner = value[TAG], value.get("v")
    if kind == "map" and isinstance(inner, list):
        return {decode(pair[0]): decode(pair[1]) for pair in inner if isinstance(pair, list)}
    text = str(inner)
    match kind:
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "str" | "repr":
            return _unescape(text)
        case "decimal":
            return Decimal(text)
        case "bytes":
            return base64.b64decode(text)
        case "datetime":
            return dt.datetime.fromisoformat(text)
        case "date":
            return dt.date.fromisoformat(text)
        case "time":
            return dt.time.fromisoformat(text)
        case "uuid":
            return UUID(text)
    raise ValueError(f"unknown type tag {kind!r} in a stored value")


def canonical(value: Any) -> bytes:
    """The canonical JSON (RFC 8785) of ``value`` after :func:`encode`."""
    return rfc8785.dumps(encode(value))


def digest(value: Any) -> str:
    """``sha256:`` and 64 hexadecimal digits over the canonical form of ``value``."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


def action_digest(agent: str, action: str, schema_version: str, args: Any) -> str:
    """Digest of one action as a person approves it and as the gate executes it. ``args`` are plain (not encoded)."""
    return digest({"agent": agent, "action": action, "schema": schema_version, "args": args})


def commitment(salt: bytes, body: Any) -> str:
    """Digest that binds an entry to content that may be erased; the salt keeps guessable content from being guessed."""
    return "sha256:" + hashlib.sha256(salt + canonical(body)).hexdigest()


def _tagged(kind: str, text: str) -> dict[str, Json]:
    return {TAG: kind, "v": text}


def _encode_mapping(value: Mapping[Any, Any]) -> Json:
    plain = all(isinstance(key, str) and key != TAG and not _UNSTORABLE.search(key) for key in value)
    if plain:
        return {key: encode(item) for key, item in value.items()}
    keys = sorted(value, key=canonical)  # one order, so one digest
    return {TAG: "map", "v": [[encode(key), encode(value[key])] for key in keys]}


def _escape(text: str) -> str:
    return _UNSTORABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", text.replace("\\", "\\\\"))


def _unescape(text: str) -> str:
    return re.sub(r"\\(\\|u([0-9a-f]{4}))", lambda m: "\\" if m[1] == "\\" else chr(int(m[2], 16)), text)
