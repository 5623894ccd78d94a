"""One description, four starters, one and the same process: examples/web."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
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
        # Of its own: runc fills it, and would put its ptmx into the machine's.
        "mounts": [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
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


#: What says how it is started, not what it is; and the keyring, which needs a key to be told.
_NOT_THE_PROCESS = {"Description", "Type", "ExecStart", "KeyringMode"}


def _apply(settings: dict[str, list[str]]) -> dict[str, str]:
    """Become what systemd.exec(5) says of these settings, by system calls of the test's own.

    Returns the environment. A setting that is not known here is an error, never passed over.
    """
    rest = {name: values for name, values in settings.items() if name not in _NOT_THE_PROCESS}
    for name in [name for name in rest if name.startswith("Limit")]:
        soft, _, hard = rest.pop(name)[0].partition(":")
        number = getattr(resource, f"RLIMIT_{name.removeprefix('Limit')}")
        resource.setrlimit(number, (int(soft), int(hard)))
    (bounding,), (ambient,) = rest.pop("CapabilityBoundingSet"), rest.pop("AmbientCapabilities")
    for capability in raw.names(raw.bounding()):
        if capability not in bounding.split():
            raw.lower_bounding(capability)
    uid, gid = pwd.getpwnam(rest.pop("User")[0]).pw_uid, int(rest.pop("Group")[0])
    groups = {gid, *map(int, rest.pop("SupplementaryGroups", []))}
    raw.set_keep_capabilities(True)
    os.setgroups(sorted(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    mask = raw.mask(ambient.split())
    raw.capset(mask, mask, mask)
    for capability in ambient.split():
        raw.raise_ambient(capability)
    os.umask(int(rest.pop("UMask")[0], 8))
    os.chdir(rest.pop("WorkingDirectory")[0])
    if rest.pop("NoNewPrivileges") == ["yes"]:
        raw.set_no_new_privs()
    words = [shlex.split(value)[0] for value in rest.pop("Environment")]
    if rest:
        raise ValueError(f"settings that this launcher does not know: {rest}")
    return dict(word.split("=", 1) for word in words)


@contextlib.contextmanager
def _by_the_units_settings(site: Site) -> Iterator[int]:
    settings = _settings(site.exported("systemd"))
    (line,) = settings["ExecStart"]
    command = [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(line)]
    pid = os.fork()
    if pid == 0:
        try:
            environment = _apply(settings)
            os.execve(command[0], command, environment)
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(120)
    try:
        site.whoami()
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


@contextlib.contextmanager
def _by_itself(site: Site) -> Iterator[int]:
    """As root: it binds, becomes its profile, serves. This interpreter has pydantic."""
    command = [sys.executable, str(site.folder / "server.py"), str(site.port)]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        site.whoami()
        yield process.pid
    finally:
        _ended(process)


_WAYS = {
    "abdicate daemon": _by_daemon,
    "the unit's settings": _by_the_units_settings,
    "runc": _by_runc,
    "setpriv": _by_setpriv,
}
_MARKS = {"runc": [pytest.mark.needs("runc", "mount namespace")]}


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=_MARKS.get(way, [])) for way in (*_WAYS, "itself")]
)
def test_each_way_the_process_is_what_the_profile_says(way: str, site: Site) -> None:
    """It answers, and an audit against the profile finds nothing."""
    start = _WAYS.get(way, _by_itself)
    with start(site) as pid:
        audit = site.abdicate("audit", str(pid))
        assert audit.returncode == 0, audit.stdout + audit.stderr
        assert "as planned" in audit.stdout
        held = site.whoami()
        with urllib.request.urlopen(f"http://127.0.0.1:{site.port}/", timeout=5) as answer:
            assert answer.read() == b"hello\n"
    uid = held["uid"]
    assert isinstance(uid, dict)
    assert set(uid.values()) == {pwd.getpwnam("www-data").pw_uid}
    assert held["umask"] == 0o027
    assert held["no_new_privs"] is True


@pytest.mark.needs("runc", "mount namespace")
def test_the_four_hold_the_same_to_the_last_slot() -> None:
    """All four run at once, each on its own port, and say of themselves what they hold."""
    with contextlib.ExitStack() as stack:
        held = {}
        for way, start in _WAYS.items():
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="abdicate-four-"))
            site = Site(Path(folder))
            stack.enter_context(start(site))
            held[way] = site.whoami()
    first = held["abdicate daemon"]
    assert held == dict.fromkeys(_WAYS, first)
    # Compared with what the kernel told each of them: nothing here is "not known".
    assert None not in (first["securebits"], first["capabilities"], first["filesystem_uid"])


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
    """But that it is not installed under /opt here."""
    command = [*ABDICATE, "check", "--ignore", "ABD206", str(_EXAMPLE / "abdicate.toml")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
