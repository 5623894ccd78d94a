"""A room for what a page does as root: own mounts, own processes, own network, own ports.

Run as a program in new namespaces. It reads what to do from standard input as JSON, does it as
a person at one prompt would, and writes what was printed as JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

#: Folders that are empty in here: what a page writes there stays in the room.
EMPTY = ("/srv", "/run", "/var/log")

_PATIENCE = 60.0  # seconds that one command may take
_MARK = b"\0done\0"

# linux/sockios.h, linux/if.h
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def main() -> None:
    """Furnish the room, act, and print the answers."""
    steps = json.load(sys.stdin)
    for folder in EMPTY:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    os.umask(0o022)
    shell = Shell()
    answers = []
    for step in steps:
        if step["kind"] == "file":
            with open(os.path.join(shell.folder(), step["name"]), "w", encoding="utf-8") as file:
                file.write(step["text"])
        else:
            answers.append(shell.run(step["text"]))
    json.dump(answers, sys.stdout)


class Shell:
    """One shell that stays, so that a directory or a variable does too."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["setpriv", "--groups", "0,4,27", "/bin/sh"],
            cwd="/srv",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def folder(self) -> str:
        """Return the directory that the shell is in."""
        return os.readlink(f"/proc/{self._process.pid}/cwd")

    def run(self, text: str) -> str:
        """Type a command, and return what was printed until the next prompt."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        script = f"{{ {text}\n}} </dev/null; printf '\\0done\\0'\n"
        self._process.stdin.write(script.encode())
        self._process.stdin.flush()
        printed, deadline = b"", time.monotonic() + _PATIENCE
        output = self._process.stdout.fileno()
        while not printed.endswith(_MARK):
            ready, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(output, 65536) if ready else b""
            if not chunk:
                raise TimeoutError(f"{text!r} did not come to its end; it printed {printed!r}")
            printed += chunk
        return printed.removesuffix(_MARK).decode()


if __name__ == "__main__":
    main()
