"""The page: one file that needs no network. What models wrote is data in it, never markup or script."""

from __future__ import annotations

import importlib.resources
import json
import secrets
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

SCRIPTS = ("report_charts.js", "report_table.js", "report_page.js")
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def render(data: dict[str, Any], title: str, live: bool = False) -> str:
    """The page of a value of [`selfrl.report.report_data.report_data`].

    Args:
        data: the value.
        title: of the page.
        live: whether it asks the server that it came from for newer data.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_packaged("report_page.html.j2")).render(
        title=title,
        live=live,
        nonce=secrets.token_urlsafe(16),
        data=embedded(data),
        scripts=[Markup(script) for script in (get_plotlyjs(), *map(_packaged, SCRIPTS))],
    )


def as_json(value: Any) -> str:
    """JSON as browsers read it: a number that is not finite is an error.

    >>> as_json({"a": [1, None]})
    '{"a":[1,null]}'
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def embedded(value: Any) -> Markup:
    """JSON that can neither end the script element it stands in nor open another.

    >>> embedded("</script><b>&")
    Markup('"\\\\u003c/script\\\\u003e\\\\u003cb\\\\u003e\\\\u0026"')
    """
    text = as_json(value)
    for character, escaped in _ESCAPED.items():
        text = text.replace(character, escaped)
    return Markup(text)


def _packaged(name: str) -> str:
    return (importlib.resources.files("selfrl.report") / name).read_text(encoding="utf-8")
