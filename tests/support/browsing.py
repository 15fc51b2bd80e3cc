"""What a person does with a page: wait and point."""

from __future__ import annotations

import time
from typing import Any

PATIENCE_S = 20.0  # other runs may have the cores


def until(page: Any, expression: str) -> None:
    """Wait until a JavaScript expression is true; the page's own policy forbids Playwright to wait for it."""
    deadline = time.monotonic() + PATIENCE_S
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def hovered(page: Any, plot: str, across: float, down: float) -> str:
    """What a chart says under the mouse.

    Args:
        page: a tab.
        plot: selector of the chart.
        across: share of the drawing's width, from the left.
        down: share of its height, from the top.
    """
    area = page.locator(f"{plot} .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    for nudge in (0, 1):  # a mouse that arrives is one that moves
        page.mouse.move(box["x"] + across * box["width"] + nudge, box["y"] + down * box["height"])
    until(page, f"document.querySelector({f'{plot} .hoverlayer'!r}).textContent !== ''")
    said: str = page.evaluate(f"document.querySelector({f'{plot} .hoverlayer'!r}).textContent")
    return said
