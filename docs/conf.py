"""How Sphinx builds the site: ``python -m sphinx -W --keep-going docs FOLDER``."""

from __future__ import annotations

import inspect

import abdicate
from abdicate.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "abdicate"
author = "the authors of abdicate"
project_copyright = author
release = version = abdicate.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "abdicate"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False

# A heading of the second or third level can be linked to, as on the pages in the repository.
myst_heading_anchors = 3

# What is shown is often what is typed, and there a quote is a quote.
smartquotes = False

# Single backticks in the docstrings are names of this package, or else code.
default_role = "py:obj"
# What pydantic puts into every model is not ours.
autodoc_default_options = {"exclude-members": "model_config, model_post_init"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 140
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def _signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str, None] | None:
    """Show a `Value` as it is called: its constructor takes its fields."""
    if not (isinstance(obj, type) and issubclass(obj, Value)):
        return None
    defaults = obj.__defaults__
    fields = [
        f"{field}: {kind} = {defaults[field]!r}" if field in defaults else f"{field}: {kind}"
        for field, kind in obj.__fields__.items()
    ]
    return f"({', '.join(fields)})", None


def _fields(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Tell what the fields of a pydantic model mean: their descriptions are no docstrings."""
    fields = getattr(obj, "model_fields", None)
    if not inspect.isclass(obj) or not fields or "Attributes:" in lines:
        return
    lines += ["", "Attributes:"]
    lines += [f"    {field}: {info.description or ''}" for field, info in fields.items()]


def setup(app: Sphinx) -> None:
    """Register the two, ahead of napoleon, which makes lists of "Attributes:"."""
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _fields, priority=100)
