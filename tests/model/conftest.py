"""One laboratory for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from model.laboratory import Laboratory


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Laboratory]:
    """A process that forks a child for each experiment."""
    with Laboratory() as opened:
        yield opened
