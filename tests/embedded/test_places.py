import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.places import find_places, make_places


def test_it_keeps_everything_in_the_checkout_for_an_ordinary_user(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    found = find_places(tmp_path, {})

    assert found.state == found.data == tmp_path / ".agentdesk"


def test_it_keeps_roots_data_outside_of_homes(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    found = find_places(tmp_path, {})

    assert found.state == tmp_path / ".agentdesk"
    assert found.data.parent == Path("/var/lib/agentdesk")


def test_two_checkouts_share_neither_data_nor_instance(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    one, other = find_places(tmp_path / "one", {}), find_places(tmp_path / "other", {})

    assert one.data != other.data
    assert one.instance != other.instance


def test_it_goes_where_the_person_says(tmp_path):
    environ = {"AGENTDESK_STATE_DIR": str(tmp_path / "state"), "AGENTDESK_DATA_DIR": str(tmp_path / "data")}

    make_places(find_places(tmp_path, environ))

    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data").is_dir()


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "is full: make room, or set AGENTDESK_STATE_DIR"),
        (errno.EROFS, "is on a read-only disk: set AGENTDESK_STATE_DIR"),
        (errno.EACCES, "belongs to another user .*: start it as that user"),
        (errno.EIO, "cannot write to .* set AGENTDESK_STATE_DIR"),
    ],
)
def test_it_names_the_way_out_where_it_cannot_write(monkeypatch, tmp_path, number, way_out):
    def fail(*args, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)

    with pytest.raises(CannotStart, match=way_out):
        make_places(find_places(tmp_path, {"AGENTDESK_DATA_DIR": str(tmp_path / "data")}))


def test_it_refuses_to_begin_on_an_almost_full_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5 * 2**20))

    with pytest.raises(CannotStart, match="only 5 MB are free"):
        make_places(find_places(tmp_path, {"AGENTDESK_DATA_DIR": str(tmp_path / "data")}))
