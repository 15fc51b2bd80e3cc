"""Unicode to the ASCII and LaTeX of an answer."""

from __future__ import annotations

import re
import unicodedata

_GREEK = {
    **dict(zip("αβγδεζηθκλμνξπρστφχψω", "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho "
    "sigma tau phi chi psi omega".split(), strict=True)),
    **dict(zip("ΓΔΘΛΞΠΣΦΨΩ", "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(), strict=True)),
    "ϕ": "phi",
    "ϵ": "epsilon",
}  # fmt: skip
GREEK_NAMES = tuple(dict.fromkeys(name for name in _GREEK.values() if name[0].islower()))
_CHARACTERS = {
    **{ord(c): "-" for c in "−–—‒‐―"},
    **{ord(c): r"\cdot " for c in "·⋅∙"},
    **{ord(letter): rf"\{name} " for letter, name in _GREEK.items()},
    ord("×"): r"\times ",
    ord("÷"): "/",
    ord("⁄"): "/",
    ord("√"): r"\sqrt ",
    ord("∛"): r"\sqrt[3] ",
    ord("∜"): r"\sqrt[4] ",
    ord("٪"): "%",
    **{ord(c): "," for c in "، 、".split()},
    ord("∞"): r"\infty ",
    ord("≤"): r"\le ",
    ord("≥"): r"\ge ",
    ord("≠"): r"\ne ",
    ord("≈"): r"\approx ",
    ord("∪"): r"\cup ",
    ord("∩"): r"\cap ",
    ord("∈"): r"\in ",
    ord("±"): r"\pm ",
    ord("∓"): r"\mp ",
    ord("∅"): r"\emptyset ",
    ord("°"): r"^\circ ",
    ord("٫"): ".",
    ord("٬"): ",",
    **{ord(c): "'" for c in "’′‘"},
    **{ord(c): '"' for c in "“”"},
}
# of chat templates, where they were decoded with the text
SPECIAL_END = re.compile(r"(?:\s{0,9}(?:<\|[^|<>]{1,40}\|>|</?s>|<eos>|<pad>|<end_of_turn>))+\s*\Z")
# NFKC would glue these to a digit before them: 3½ is not 31/2, and x₁ is not x1.
_VULGAR = re.compile(r"[¼-¾⅐-⅞]")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT_RUN = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUBSCRIPT_RUN = re.compile(r"[₀₁₂₃₄₅₆₇₈₉]+")
# blanks of no width, and the marks (not the overrides) of a writing direction
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\u061c\ufe0f]")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")


def plain_characters(text: str) -> str | None:
    """ASCII and LaTeX spellings of mathematical characters and of any script's digits.

    None for text with control characters, or such as turn the direction of writing.

    >>> plain_characters("x² ≤ −3½"), plain_characters("٣٫٥")
    ('x^{2} \\\\le  -3\\\\frac{1}{2}', '3.5')
    """
    text = _INVISIBLE.sub("", text)
    text = _SUPERSCRIPT_RUN.sub(lambda m: "^{" + m.group().translate(_SUPERSCRIPTS) + "}", text)
    text = _SUBSCRIPT_RUN.sub(lambda m: "_{" + m.group().translate(_SUBSCRIPTS) + "}", text)
    text = _VULGAR.sub(_fraction, text)
    text = unicodedata.normalize("NFKC", text).translate(_CHARACTERS)
    text = _OTHER_DIGIT.sub(lambda m: str(unicodedata.decimal(m.group())), text)
    text = "".join(c for c in text if unicodedata.category(c) != "So")  # ticks, stars, faces
    if any(unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn") and c not in "\n\t\r" for c in text):
        return None
    return text


def _fraction(match: re.Match[str]) -> str:
    numerator, denominator = unicodedata.normalize("NFKC", match.group()).split("⁄")
    return rf"\frac{{{numerator}}}{{{denominator}}}"
