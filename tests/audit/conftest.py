"""What the audit's tests share with those of the command line."""

from __future__ import annotations

from cli.conftest import as_ordinary_user, readable_package

__all__ = ["as_ordinary_user", "readable_package"]
