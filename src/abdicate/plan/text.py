"""Data to JSON text, without the module ``json``.

A report is written out after the drop, when the new user may not be able to read the
interpreter's files and after a chroot there are none; so its writer is loaded before the first
step, in every process that drops. ``json`` brings a decoder that nobody needs there, and costs
2.4 ms and half a MiB.
"""

from __future__ import annotations

from abdicate.values import is_list, is_table

__all__ = ["json_text"]

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_NAMED = {None: "null", True: "true", False: "false"}


def json_text(data: object, margin: str = "\n") -> str:
    """Return *data* as ``json.dumps(data, indent=2)`` does: RFC 8259, in ASCII.

    Args:
        data: None, a bool, an int, a str, or a list or dict of such, with keys that are str.
        margin: what each line begins with.

    Raises:
        TypeError: it is, or holds, anything else.
    """
    if data is None or isinstance(data, bool):
        return _NAMED[data]
    if isinstance(data, int):
        return int.__repr__(data)
    if isinstance(data, str):
        return _quoted(data)
    if is_list(data):
        return _block("[]", [json_text(item, margin + "  ") for item in data], margin)
    if is_table(data):
        items = [f"{_quoted(key)}: {json_text(data[key], margin + '  ')}" for key in data]
        return _block("{}", items, margin)
    raise TypeError(f"JSON has no {type(data).__name__}")


def _block(brackets: str, items: list[str], margin: str) -> str:
    if not items:
        return brackets
    inside = f",{margin}  ".join(items)
    return f"{brackets[0]}{margin}  {inside}{margin}{brackets[1]}"


def _quoted(text: str) -> str:
    if text.isascii() and text.isprintable() and not {'"', "\\"} & set(text):
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    number = ord(char)
    if 0x20 <= number < 0x7F:
        return char
    if number < 0x10000:
        return f"\\u{number:04x}"
    # Two surrogates, RFC 8259 section 7.
    high, low = divmod(number - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
