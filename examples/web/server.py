"""A small HTTP server on a privileged port, that does not stay root.

Started as root it becomes its profile first, and keeps the one capability that it needs; started
by systemd, runc or setpriv with what `abdicate export` writes, it is that already.

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
    """``/`` says hello; ``/whoami`` says what this process holds."""

    def do_GET(self) -> None:
        """Answer."""
        who = self.path == "/whoami"
        text = json.dumps(encode(Credentials.current())) if who else "hello\n"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the example has no log."""


def main() -> None:
    """Become the profile where this still is root, then bind and serve."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 80
    if os.geteuid() == 0:
        from abdicate import load_config

        load_config(CONFIG).profile("web").drop.apply()
    with http.server.HTTPServer(("127.0.0.1", port), Page) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
