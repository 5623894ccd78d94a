"""The playbook of examples/fleet, over fifty hosts and one that can't be reached."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

_EXAMPLE = Path(__file__).parents[2] / "examples" / "fleet"
_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
_ABDICATE = [sys.executable, "-m", "abdicate"]

_PROFILE = """\
version = 1

[profiles.web]
drop = {{ user = "www-data", groups = "only", umask = "0027", no_new_privs = true }}
exec = {command}
"""


@contextlib.contextmanager
def _sleeper(command: list[str]) -> Iterator[int]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        # abdicate and setpriv exec it: the pid stays, and the line says that they have.
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Fleet:
    """One run of the playbook, and what it wrote."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "abdicate.toml"
        self.results = folder / "results"
        self._folder = folder
        shutil.copytree(_EXAMPLE, folder / "fleet")

    def run(self, hosts: dict[str, dict[str, object]]) -> subprocess.CompletedProcess[str]:
        """Run the playbook over these hosts, each with its variables."""
        inventory = self._folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        command = [str(_PLAYBOOK), "-i", str(inventory), "audit.yml"]
        command += ["-e", json.dumps({"results": str(self.results)})]
        environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._folder),
            "ANSIBLE_LOCAL_TEMP": str(self._folder / "tmp"),
            "ANSIBLE_CONFIG": str(self._folder / "fleet" / "ansible.cfg"),
        }
        return subprocess.run(
            command,
            cwd=self._folder / "fleet",
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def read(self, name: str) -> Any:
        """Return one of the files that the playbook wrote."""
        return json.loads((self.results / f"{name}.json").read_text(encoding="utf-8"))


Gathered: TypeAlias = tuple[Fleet, int, str]  # and the exit status, and what was said


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    """Fifty hosts: h17 runs with root's groups, h23 has no config file; h51 is unreachable."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    folder = fleet.config.parent
    shell = ["/bin/sh", "-c", "echo up; exec sleep 600"]
    text = _PROFILE.format(command=json.dumps(shell))
    fleet.config.write_text(text, encoding="utf-8")
    right = [*_ABDICATE, "run", "--config", str(fleet.config), "--profile", "web"]
    ids = ["--reuid", "www-data", "--regid", "www-data", "--inh-caps", "-all", "--no-new-privs"]
    wrong = ["sh", "-c", 'umask 027; exec "$@"', "sh"]
    wrong += ["setpriv", "--groups", "0,4,27", *ids, *shell]
    nowhere = folder / "no-ssh"
    nowhere.write_text("#!/bin/sh\nexit 255\n", encoding="utf-8")
    nowhere.chmod(0o755)
    with _sleeper(right) as good, _sleeper(wrong) as bad:
        common: dict[str, object] = {
            "ansible_connection": "local",
            "abdicate": " ".join(_ABDICATE),
            "abdicate_config": str(fleet.config),
            "abdicate_profile": "web",
            "abdicate_pids": [good],
        }
        hosts = {f"h{number:02}": common for number in range(1, 51)}
        hosts["h17"] = {**common, "abdicate_pids": [bad]}
        hosts["h23"] = {**common, "abdicate_config": str(folder / "nothing.toml")}
        unreachable = {"ansible_connection": "ssh", "ansible_ssh_executable": str(nowhere)}
        hosts["h51"] = {**common, **unreachable, "ansible_ssh_retries": 0}
        ran = fleet.run(hosts)
    return fleet, ran.returncode, ran.stdout + ran.stderr


_NEEDS = pytest.mark.needs("root", "setpriv", "ansible")


@_NEEDS
def test_every_host_has_its_file(gathered: Gathered) -> None:
    """One that fails, and one that can't be reached, stop no other."""
    fleet, _, said = gathered
    names = {path.stem for path in fleet.results.glob("h*.json")}
    assert names == {f"h{number:02}" for number in range(1, 52)}, said
    right = [name for name in sorted(names) if name not in ("h17", "h23", "h51")]
    for name in right:
        found = fleet.read(name)
        assert (found["errors"], [process["ok"] for process in found["audit"]]) == ([], [True])
        assert found["check"] == {"version": 1, "errors": [], "findings": []}
    assert len(right) == 48


@_NEEDS
def test_the_host_that_differs_is_found_by_its_slot(gathered: Gathered) -> None:
    """The summary names it, and the run's status tells."""
    fleet, status, said = gathered
    whole = fleet.read("summary")
    assert whole["differ"] == ["h17"], said
    assert whole["findings"]["DIFFERS supplementary groups"] == ["h17"]
    (deviation,) = fleet.read("h17")["audit"][0]["deviations"]
    assert (deviation["slot"], deviation["observed"]) == ("supplementary groups", "0 4 27")
    assert status == 2


@_NEEDS
def test_hosts_that_gave_no_answer_are_not_taken_for_right(gathered: Gathered) -> None:
    """No config file, no connection: each is said, with its reason."""
    fleet, _, _ = gathered
    whole = fleet.read("summary")
    assert whole["hosts"] == 51
    assert sorted(whole["failed"]) == ["h23", "h51"]
    assert "nothing.toml" in " ".join(whole["failed"]["h23"])
    assert whole["failed"]["h51"] == ["check: unreachable", "audit: unreachable"]


def _gather(folder: Path, check: str, audit: str) -> tuple[int, Any]:
    answers = {"check": {"rc": 0, "stdout": check}, "audit": {"rc": 0, "stdout": audit}}
    ran = subprocess.run(
        [sys.executable, str(_EXAMPLE / "gather.py"), str(folder)],
        input=json.dumps({"web1": answers}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    return ran.returncode, json.loads((folder / "web1.json").read_text(encoding="utf-8"))


_NOTHING = '{"version": 1, "errors": [], "findings": []}'
_RIGHT = '{"pid": 7, "ok": true, "deviations": [], "regains": []}'


def test_what_a_terminal_puts_in_between_is_passed_over(tmp_path: Path) -> None:
    """With ssh -tt standard error comes along, and lines end as on a terminal."""
    status, found = _gather(tmp_path, f"warning\r\n{_NOTHING}\r\n", f"warning\r\n{_RIGHT}\r\n")
    assert (status, found["errors"]) == (0, [])
    assert [process["pid"] for process in found["audit"]] == [7]


@pytest.mark.parametrize(
    ("check", "audit"), [("", _RIGHT), (_NOTHING, ""), ("Traceback", _RIGHT), (_NOTHING, "{")]
)
def test_status_0_without_an_answer_is_a_failure(check: str, audit: str, tmp_path: Path) -> None:
    """A host on which another program answers to the name is not taken for right."""
    status, found = _gather(tmp_path, check, audit)
    assert (status, len(found["errors"])) == (1, 1)
