"""How Sphinx builds the site of ``workshop export``: nothing in it comes from another host."""

from __future__ import annotations

from typing import Any

from IPython.lib.lexers import IPython3Lexer
from pygments.lexer import RegexLexer, bygroups, using
from pygments.lexers import YamlLexer
from pygments.token import Comment


class CellLexer(RegexLexer):
    """A cell of a lesson: Python, or YAML below ``%%manifest``."""

    name = "cell of a lesson"
    tokens = {  # noqa: RUF012 - as Pygments wants it
        "root": [
            (r"(?s)(%%manifest[^\n]*\n)(.*)", bygroups(Comment.Single, using(YamlLexer))),
            (r"(?s).+", using(IPython3Lexer)),
        ]
    }


project = html_title = "Istio traffic workshop"
extensions = ["myst_nb"]
nb_execution_mode = "off"
html_theme = "furo"
html_static_path = ["site.css"]
html_extra_path = ["files"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_use_index = False
html_domain_indices = False
# A lesson that is not in this site is named, without a link.
suppress_warnings = ["myst.xref_missing"]


def setup(app: Any) -> None:
    """Tell Sphinx how cells are coloured."""
    app.add_lexer("workshop-cell", CellLexer)
