"""Draw the flow of a drop from the code's own plan: ``python docs/picture.py``.

``tests/docs/test_picture.py`` holds ``flow.svg`` to what this gives.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from abdicate.identity.accounts import Account, StaticAccounts
from abdicate.identity.capabilities import Capability, CapabilitySet
from abdicate.identity.ids import Gid, Owner, Uid, UserName
from abdicate.plan.plan import Plan
from abdicate.plan.policy import DropPolicy
from abdicate.request import DropRequest
from abdicate.testing import FakeKernel

PICTURE = Path(__file__).with_name("flow.svg")

_WIDTH = 880
_ROW = 26
_LEFT = 30

_STYLE = """
  text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2328; }
  .name { font-weight: 600; }
  .call { font-family: ui-monospace, monospace; fill: #59636e; }
  .box { fill: #f6f8fa; stroke: #818b98; }
  .root { fill: #fff1e5; stroke: #bc4c00; }
  .line { stroke: #818b98; fill: none; }
  .back { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .call { fill: #9198a1; }
    .box { fill: #151b23; stroke: #656c76; }
    .root { fill: #2d1c10; stroke: #db6d28; }
    .line { stroke: #656c76; }
    .back { fill: #0d1117; }
  }
"""


def plan() -> Plan:
    """Return the plan that is drawn: a web server that keeps its port."""
    keeps = CapabilitySet.of(Capability.NET_BIND_SERVICE)
    request = DropRequest(
        owner=Owner(UserName("www-data")),
        policy=DropPolicy(
            capabilities=keeps, ambient=True, bounding=keeps, no_new_privs=True, umask=0o027
        ),
    )
    accounts = StaticAccounts(users=[Account("www-data", Uid(33), Gid(33))])
    return request.plan(accounts, FakeKernel.root())


def picture() -> str:
    """Return the picture as SVG."""
    drawn = plan()
    parts = [
        _stage(0, "text, TOML, YAML, JSON, options"),
        _stage(1, "spec", "validated; nothing is looked up"),
        _stage(2, "identity", str(drawn.identity)),
        _stage(3, "plan", f"{len(drawn.steps)} steps; nothing has changed yet"),
    ]
    top = 4 * 2 * _ROW + 12
    height = len(drawn.steps) * _ROW + 20
    parts.append(_box(_LEFT, top, _WIDTH - 2 * _LEFT, height, "root"))
    for number, step in enumerate(drawn.steps, 1):
        y = top + number * _ROW
        parts.append(_text(_LEFT + 16, y, f"{number}.", "call"))
        parts.append(_text(_LEFT + 48, y, step.kind, "name"))
        parts.append(_text(_LEFT + 210, y, step.call, "call"))
        parts.append(_text(_LEFT + 310, y, _brief(step.sentence())))
    below = top + height
    parts.append(_arrow(below))
    parts += [
        _lone(below + _ROW, "read back", "every slot of every thread"),
        _arrow(below + 2 * _ROW + 8),
        _lone(
            below + 3 * _ROW + 8, "attack", "each call that could take something back is refused"
        ),
        _arrow(below + 4 * _ROW + 16),
        _lone(below + 5 * _ROW + 16, "Dropped", "the proof, with the report"),
    ]
    total = below + 6 * _ROW + 36
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {total}" '
        f'width="{_WIDTH}" height="{total}" role="img" aria-label="The flow of a drop">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect class="back" width="{_WIDTH}" height="{total}"/>\n{body}\n</svg>\n'
    )


def _stage(number: int, name: str, told: str = "") -> str:
    y = 12 + number * 2 * _ROW
    return _lone(y, name, told) + "\n" + _arrow(y + _ROW + 8)


def _lone(y: int, name: str, told: str = "") -> str:
    parts = [_box(_LEFT, y, _WIDTH - 2 * _LEFT, _ROW + 8, "box")]
    parts.append(_text(_LEFT + 16, y + 22, name, "name"))
    if told:
        parts.append(_text(_LEFT + 210, y + 22, _brief(told)))
    return "\n".join(parts)


def _brief(sentence: str) -> str:
    text = sentence.removesuffix(".")
    return text if len(text) <= 64 else text[:63] + "…"


def _box(x: int, y: int, width: int, height: int, kind: str) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'


def _text(x: int, y: int, text: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x}" y="{y}">{escape(text)}</text>'


def _arrow(y: int) -> str:
    x = _LEFT + 24
    return f'<path class="line" d="M{x} {y} v{_ROW - 8} m-4 -5 l4 5 l4 -5"/>'


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
