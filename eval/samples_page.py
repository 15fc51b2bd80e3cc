"""One page of browsable samples, without anything from elsewhere: model text is data in it, never markup or script."""

from __future__ import annotations

import importlib.resources
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

SAMPLES_A_TASK = 2000  # more make a page that browsers open slowly


def write_page(path: Path, model: str, samples: dict[str, Sequence[dict[str, Any]]]) -> None:
    """Write the page.

    Args:
        path: the file.
        model: the model's name.
        samples: rows of each task, as in the Parquet files.
    """
    template = (importlib.resources.files("selfrl.eval") / "samples_page.html.j2").read_text()
    shown = {task: list(rows[:SAMPLES_A_TASK]) for task, rows in samples.items()}
    page = (
        jinja2.Environment(autoescape=True)
        .from_string(template)
        .render(
            model=model,
            nonce=secrets.token_urlsafe(16),
            data=embedded(shown),
            left_out=sum(map(len, samples.values())) - sum(map(len, shown.values())),
        )
    )
    path.write_text(page, encoding="utf-8", errors="replace")


def embedded(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in.

    >>> embedded("</script><b>")
    Markup('"\\\\u003c/script>\\\\u003cb>"')
    """
    return Markup(json.dumps(value).replace("<", "\\u003c"))
