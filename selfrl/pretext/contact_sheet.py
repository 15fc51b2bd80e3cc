"""A picture of some items, for people: what is shown, what is asked, what is right."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

_THUMB, _GAP, _LINE, _WIDTH = 150, 10, 15, 1100
_INK, _PAPER, _GREEN = (25, 28, 32), (255, 255, 255), (20, 110, 60)


def contact_sheet(rows: Sequence[dict[str, Any]]) -> Image.Image:
    """One strip an item: its pictures with their sizes, the question, and the right answer.

    Args:
        rows: with `images` (pictures), `prompt`, `answer` and `task`, as the built data set has them.

    Example:
        >>> prompt = [{"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "Up?"}]}]
        >>> row = {"images": [Image.new("RGB", (8, 8))], "prompt": prompt, "answer": "yes", "task": "rotation"}
        >>> contact_sheet([row]).size
        (1100, 234)
    """
    strips = [_strip(row) for row in rows]
    sheet = Image.new("RGB", (_WIDTH, sum(strip.height for strip in strips)), _PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet


def _strip(row: dict[str, Any]) -> Image.Image:
    font = ImageFont.load_default(12)
    a_row = (_WIDTH - _GAP) // (_THUMB + _GAP)
    thumbs = [_thumb(picture) for picture in row["images"]]
    lines = textwrap.wrap(question_text(row["prompt"]), 150)
    rows_of_thumbs = -(-len(thumbs) // a_row)
    pictures_height = rows_of_thumbs * (_THUMB + _LINE + _GAP)
    strip = Image.new("RGB", (_WIDTH, pictures_height + (len(lines) + 2) * _LINE + 2 * _GAP - 6), _PAPER)
    draw = ImageDraw.Draw(strip)
    for i, (thumb, picture) in enumerate(zip(thumbs, row["images"], strict=True)):
        left, top = _GAP + i % a_row * (_THUMB + _GAP), _GAP // 2 + i // a_row * (_THUMB + _LINE + _GAP)
        strip.paste(thumb, (left, top))
        draw.text((left, top + _THUMB), f"{i + 1}: {picture.width} x {picture.height}", _INK, font)
    top = pictures_height + _GAP // 2
    for line in lines:
        draw.text((_GAP, top), line, _INK, font)
        top += _LINE
    draw.text((_GAP, top), f"Right: {row['answer']}   ({row['task']})", _GREEN, font)
    draw.line((0, strip.height - 1, _WIDTH, strip.height - 1), (210, 214, 220))
    return strip


def _thumb(picture: Image.Image) -> Image.Image:
    """The picture on a grey square; small ones are enlarged by whole pixels, so that these can be seen."""
    scale = _THUMB / max(picture.size)
    size = (max(int(picture.width * scale), 1), max(int(picture.height * scale), 1))
    ground = Image.new("RGB", (_THUMB, _THUMB), (238, 240, 242))
    way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    ground.paste(picture.convert("RGB").resize(size, way), ((_THUMB - size[0]) // 2, (_THUMB - size[1]) // 2))
    return ground


def question_text(prompt: Any) -> str:
    """The texts of a conversation in one line, with [n] where its n-th picture stands.

    >>> question_text([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Up?"}]}])
    '[1] Up?'
    """
    words, number = [], 0
    for message in prompt:
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "image":
                number += 1
                words.append(f"[{number}]")
            else:
                words += (part["text"] or "").split()
    return " ".join(words)
