"""The site of the documentation: ``make docs``. Its pages are the files beside this one and the docstrings."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import fastrenyi

os.environ.setdefault("MPLBACKEND", "Agg")

project = "fastrenyi"
author = copyright = "the fastrenyi contributors"
version = release = fastrenyi.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
nitpicky = True

# The pages are as the repository shows them: Markdown, in which a heading is linked to as it is there.
myst_heading_anchors = 4
highlight_language = "text"  # of code that does not say: commands and output

# The types of signatures are mypy's; docstrings name them in words.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"fastrenyi {release}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Those that take seconds are run; the others show the figure that is kept.
RUN = ("kernel_width", "negative_information", "real_or_bias", "violation")
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": rf"/({'|'.join(RUN)})\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "min_reported_time": 1000,
    "remove_config_comments": True,
    "default_thumb_file": str(Path(__file__).parent / "_static" / "no_figure.png"),
}

# A bar, a star or an underscore of a formula, which would be markup, and dots, which would end a sentence; code between
# double backticks is as it is.
FORMULA = re.compile(r"(``.+?``)|(\.\.\.)|(\||(?<!\w)\*+(?=\w)|(?<=\w)_(?!\w))")


def escaped(found: re.Match[str]) -> str:
    """Return what stands for a part of a formula in reStructuredText."""
    code, dots, sign = found.groups()
    return code or ("…" if dots else "\\" + "\\".join(sign))


def as_it_reads(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape in a docstring what ``help()`` shows as it is and reStructuredText would take for markup."""
    example = False
    for k, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            lines[k] = FORMULA.sub(escaped, line)


def setup(app: Sphinx) -> None:
    """Docstrings come here before numpydoc reads them."""
    app.connect("autodoc-process-docstring", as_it_reads, priority=100)
