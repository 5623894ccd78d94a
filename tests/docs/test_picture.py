"""The picture of the flow is drawn from the plan that the code makes now."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from docs.scripts import script

picture = script("picture")


def test_the_picture_is_fresh() -> None:
    """``python docs/picture.py`` would change nothing."""
    assert picture.PICTURE.read_text(encoding="utf-8") == picture.picture()


def test_the_picture_shows_every_step_in_order() -> None:
    """By its name, as the plan has them."""
    root = ElementTree.fromstring(picture.picture())
    names = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    kinds = [step.kind for step in picture.plan().steps]
    assert [name for name in names if name in kinds and name != "umask"] == [
        kind for kind in kinds if kind != "umask"
    ]
