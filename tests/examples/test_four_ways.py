"""One description, four starters, one and the same process: examples/web."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import abdicate as package
from cli.program import ABDICATE
from drops import raw

_EXAMPLE = Path(__file__).parents[2] / "examples" / "web"
_PYTHON = "/usr/bin/python3"
_PATIENCE = 30.0  # seconds for a server to answer

pytestmark = [
    pytest.mark.needs("root", "setpriv", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE"),
    pytest.mark.skipif(not os.path.exists(_PYTHON), reason=f"needs {_PYTHON}"),
]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class Site:
    """The example, installed where every user can read it, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.config = folder / "abdicate.toml"
        self.pidfile = folder / "web.pid"
        shutil.copy(_EXAMPLE / "server.py", folder)
        assert package.__file__ is not None
        shutil.copytree(
            Path(package.__file__).parent,
            folder / "lib" / "abdicate",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        server = folder / "server.py"
        command = ["/usr/bin/env", f"PYTHONPATH={folder}/lib", _PYTHON, str(server), str(self.port)]
        text = (_EXAMPLE / "abdicate.toml").read_text(encoding="utf-8")
        text = re.sub(r"(?m)^exec = .*$", f"exec = {json.dumps(command)}", text)
        text = re.sub(r"(?m)^pidfile = .*$", f'pidfile = "{self.pidfile}"', text)
        self.config.write_text(text, encoding="utf-8")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def abdicate(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run our command line with this config, and return what came of it."""
        command = [*ABDICATE, words[0]]
        command += ["--config", str(self.config), "--profile", "web", *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def exported(self, target: str) -> str:
        """Return what ``abdicate export`` prints."""
        ran = self.abdicate("export", "--format", target)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def whoami(self) -> dict[str, object]:
        """Return what the server says that it holds, once it answers."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                url = f"http://127.0.0.1:{self.port}/whoami"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    held: dict[str, object] = json.load(answer)
                return held
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def server(self) -> int:
        """Return the pid of the process that serves."""
        mark = str(self.folder / "server.py").encode()
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
                if words[:1] == [_PYTHON.encode()] and mark in words:
                    found.append(int(pid))
        (server,) = found
        return server


@pytest.fixture
def site() -> Iterator[Site]:
    # Not tmp_path: its parents are closed to other users.
    with tempfile.TemporaryDirectory(prefix="abdicate-four-") as name:
        yield Site(Path(name))


def _ended(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def _running(site: Site, command: list[str]) -> Iterator[int]:
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        site.whoami()
        yield site.server()
    finally:
        # runc passes the signal on; the others are the server itself by now.
        _ended(process)


@contextlib.contextmanager
def _by_daemon(site: Site) -> Iterator[int]:
    ran = site.abdicate("daemon")
    assert ran.returncode == 0, ran.stderr
    try:
        site.whoami()
        yield site.server()
    finally:
        stopped = site.abdicate("daemon", "--stop")
        assert stopped.returncode == 0, stopped.stderr


@contextlib.contextmanager
def _by_setpriv(site: Site) -> Iterator[int]:
    with _running(site, shlex.split(site.exported("setpriv"))) as pid:
        yield pid


@contextlib.contextmanager
def _by_runc(site: Site) -> Iterator[int]:
    """A real container, in a root directory that is the machine's own, bound elsewhere."""
    bundle = site.folder / "bundle"
    (bundle / "rootfs").mkdir(parents=True)
    spec = {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [{"type": "mount"}]},
        **json.loads(site.exported("oci")),
    }
    (bundle / "config.json").write_text(json.dumps(spec), encoding="utf-8")
    name = f"abdicate-{os.getpid()}-{site.port}"
    script = 'mount --rbind / "$0/rootfs" && exec runc --root "$0/state" run --bundle "$0" "$1"'
    with _running(site, ["unshare", "-m", "sh", "-c", script, str(bundle), name]) as pid:
        yield pid


def _settings(unit: str) -> dict[str, list[str]]:
    """Return a unit's settings, each with its values in order: systemd.syntax(7)."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
    return found


def _apply(settings: dict[str, list[str]]) -> None:
    """Become what systemd.exec(5) says of these settings, by system calls of the test's own."""
    for name, (value,) in ((k, v) for k, v in settings.items() if k.startswith("Limit")):
        soft, _, hard = value.partition(":")
        number = getattr(resource, f"RLIMIT_{name.removeprefix('Limit')}")
        resource.setrlimit(number, (int(soft), int(hard)))
    kept = settings["AmbientCapabilities"][0].split()
    bounding = settings["CapabilityBoundingSet"][0].split()
    for capability in raw.names(raw.bounding()):
        if capability not in bounding:
            raw.lower_bounding(capability)
    ran = subprocess.run(
        ["id", "-u", settings["User"][0]], capture_output=True, text=True, check=True
    )
    uid, gid = int(ran.stdout), int(settings["Group"][0])
    groups = [gid, *map(int, settings.get("SupplementaryGroups", []))]
    raw.set_keep_capabilities(True)
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    mask = raw.mask(kept)
    raw.capset(mask, mask, mask)
    for capability in kept:
        raw.raise_ambient(capability)
    os.umask(int(settings["UMask"][0], 8))
    if settings["NoNewPrivileges"] == ["yes"]:
        raw.set_no_new_privs()


@contextlib.contextmanager
def _by_the_units_settings(site: Site) -> Iterator[int]:
    settings = _settings(site.exported("systemd"))
    (line,) = settings["ExecStart"]
    command = [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(line)]
    pid = os.fork()
    if pid == 0:
        try:
            _apply(settings)
            os.execv(command[0], command)
        finally:
            os._exit(120)
    try:
        site.whoami()
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


_WAYS = {
    "abdicate daemon": _by_daemon,
    "the unit's settings": _by_the_units_settings,
    "runc": pytest.param(_by_runc, marks=pytest.mark.needs("runc", "mount namespace")),
    "setpriv": _by_setpriv,
}


@pytest.mark.parametrize("start", list(_WAYS.values()), ids=list(_WAYS))
def test_each_way_the_process_is_what_the_profile_says(start: object, site: Site) -> None:
    """It answers, and an audit against the profile finds nothing."""
    assert callable(start)
    with start(site) as pid:
        audit = site.abdicate("audit", str(pid))
        assert audit.returncode == 0, audit.stdout + audit.stderr
        assert "as planned" in audit.stdout
        held = site.whoami()
    uid = held["uid"]
    assert isinstance(uid, dict)
    assert 0 not in uid.values()
    assert held["umask"] == 0o027
    assert held["no_new_privs"] is True


def test_a_starter_that_keeps_roots_groups_is_found_by_the_slots_name(site: Site) -> None:
    """The same command line with one flag changed."""
    words = [
        "--keep-groups" if word.startswith("--groups=") else word
        for word in shlex.split(site.exported("setpriv"))
    ]
    with _running(site, ["setpriv", "--groups", "0,4,27", *words]) as pid:
        audit = site.abdicate("audit", str(pid))
    assert audit.returncode == 1
    (line,) = (line for line in audit.stdout.splitlines() if "DIFFERS" in line)
    assert "supplementary groups: expected 33, observed 0 4 27" in line


@pytest.mark.needs("systemd-analyze")
def test_systemd_itself_finds_nothing_to_say_of_the_unit(site: Site) -> None:
    """Any word on standard error is a failure."""
    unit = site.folder / "web.service"
    unit.write_text(site.exported("systemd"), encoding="utf-8")
    verify = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (verify.returncode, verify.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr
    assert "User=/DynamicUser=" in judged.stdout


def test_check_has_nothing_to_say_of_the_example() -> None:
    """It is what the documentation points at."""
    ran = subprocess.run(
        [*ABDICATE, "check", "--ignore", "ABD206", _EXAMPLE / "abdicate.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
