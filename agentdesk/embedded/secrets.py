"""The random passwords of the embedded servers and the desk's signing key, kept beside the data they open."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Secrets:
    """One random word each: letters, digits, `-` and `_` only, so they stand in a URL as they are."""

    superuser: str
    owner: str
    app: str
    valkey: str
    signing_key: str


def make_secrets() -> Secrets:
    return Secrets(*(secrets.token_urlsafe(36) for _ in fields(Secrets)))


def load_secrets(path: Path) -> Secrets:
    """Read the secrets at `path`, made on first use. Raises ValueError when the file is damaged."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        made = make_secrets()
        write_private(path, json.dumps(asdict(made), indent=1) + "\n")
        return made
    return Secrets(**{field.name: str(found[field.name]) for field in fields(Secrets)})


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path`, readable by its owner only, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
