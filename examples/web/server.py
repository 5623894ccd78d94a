"""A small HTTP server on a privileged port, that does not stay root.

Started as root it binds its port, then becomes its profile, then serves; started by systemd, runc
or setpriv with what `abdicate export` writes, it is that already, and binds the port itself.

    python3 server.py [PORT]
"""

from __future__ import annotations

import http.server
import json
import os
import sys
from pathlib import Path

from abdicate import Credentials
from abdicate.plan.codec import encode

CONFIG = Path(__file__).with_name("abdicate.toml")


class Page(http.server.BaseHTTPRequestHandler):
    """``/`` says hello; ``/whoami`` says what this process holds; there is nothing else."""

    def do_GET(self) -> None:
        """Answer one request."""
        pages = {"/": _hello, "/whoami": _whoami}
        page = pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        kind, text = page()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the example has no log."""


def _hello() -> tuple[str, str]:
    return "text/plain", "hello\n"


def _whoami() -> tuple[str, str]:
    return "application/json", json.dumps(encode(Credentials.current()))


def become_profile() -> None:
    """Give up root as the profile says, or leave: what is raised halfway is no `Exception`."""
    # Imported here: who starts it as the profile's user already needs no config, and no pydantic.
    from abdicate import load_config

    load_config(CONFIG).profile("web").drop.apply()


def main() -> None:
    """Bind, become the profile where this still is root, serve."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 80
    with http.server.HTTPServer(("127.0.0.1", port), Page) as server:
        if os.geteuid() == 0:
            become_profile()
        server.serve_forever()


if __name__ == "__main__":
    main()
