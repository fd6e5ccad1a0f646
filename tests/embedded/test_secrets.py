import os

import pytest

from agentdesk.embedded.secrets import load_secrets, write_private


def test_it_makes_secrets_once_and_reads_them_again(tmp_path):
    path = tmp_path / "secrets.json"

    first, second = load_secrets(path), load_secrets(path)

    assert first == second
    assert len({*vars(first).values()}) == 5
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_says_when_the_file_is_damaged(tmp_path):
    path = tmp_path / "secrets.json"
    path.write_text('{"owner": "x"}')

    with pytest.raises(KeyError):
        load_secrets(path)


def test_it_leaves_the_old_file_whole_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "env"
    write_private(path, "A=1\n")

    def fail(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_private(path, "A=2\n")

    assert path.read_text() == "A=1\n"
