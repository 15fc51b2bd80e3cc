"""Find the answer in a completion, in time linear in its length."""

from __future__ import annotations

import re
from collections import deque

from selfrl.answers.limits import MAX_ANSWER

_BRACES = re.compile(r"\\(?:boxed|fbox)\s{0,9}\{|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"\\boxed[ \t]{1,9}([^\s{}$\\]{1,50})")
_ANSWER_IS = re.compile(r"\banswer[\s*]{0,9}(?:is|:|=)[\s:*]{0,9}", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)|\n")
_BARE_NUMBER = re.compile(r"[-+$]{0,2}\d[\d,./]*\s?%?")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")


def extract(text: str, *, last_number: bool = False) -> str | None:
    r"""The answer that a completion states, or None.

    The first convention that is present wins, in this order: the last balanced `\boxed{}` or `\fbox{}` (or
    `\boxed 5`), the last `<answer>…</answer>`, the line after the last `####`, the sentence after the last "answer
    is" or "answer:". A `####` line that is not the text's last counts only if it is a number: Markdown has headings
    like it. The last number of the text counts only if asked for: taken by default, it makes
    completions agree that state no answer.

    An empty answer, or one of more than 1000 characters, is None.

    Example:
        >>> extract(r"First \boxed{1}, no: \boxed{\frac{1}{2}}.")
        '\\frac{1}{2}'
        >>> extract("So 3 apples, 4 pears. The answer is 7.")
        '7'
        >>> extract("There are 7 in all.") is None, extract("There are 7 in all.", last_number=True)
        (True, '7')
    """
    answer = find_answer(text, last_number=last_number)
    return answer if answer and len(answer) <= MAX_ANSWER else None


def find_answer(text: str, *, last_number: bool = False) -> str | None:
    """[`extract`] without its bounds: what stands where an answer belongs, however long, or empty."""
    for find in (boxed, _answer_tag, _hashes, _answer_is):
        answer = find(text)
        if answer is not None:
            return answer.strip()
    if last_number:
        last = _last_match(_NUMBER, text)
        return last.group() if last else None
    return None


def boxed(text: str) -> str | None:
    r"""Content of the last balanced `\boxed{}`, `\fbox{}` or `\boxed 5`; None without one."""
    if "box" not in text:
        return None
    opened: list[int | None] = []  # where each open brace's box content starts; None for other braces
    last = (-1, -1)
    for match in _BRACES.finditer(text):
        token = match.group()
        if token == "}":
            start = opened.pop() if opened else None
            if start is not None and start > last[0]:
                last = (start, match.start())
        elif token.endswith("{") and token != r"\{":
            opened.append(match.end() if len(token) > 1 else None)
    bare = _last_match(_BARE_BOX, text[max(last[1], 0) :])
    if bare:
        return bare[1].rstrip(".,")
    return text[slice(*last)] if last[0] >= 0 else None


def _answer_tag(text: str) -> str | None:
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, max(end, 0))
    return None if end < 0 or start < 0 else text[start + len("<answer>") : end]


def _hashes(text: str) -> str | None:
    at = text.rfind("####")
    if at < 0:
        return None
    line, _, after = text[at + 4 :].partition("\n")
    line = line.strip()
    return line if not after.strip() or _BARE_NUMBER.fullmatch(line) else None


def _answer_is(text: str) -> str | None:
    match = _last_match(_ANSWER_IS, text)
    if match is None:
        return None
    rest = text[match.end() : match.end() + MAX_ANSWER + 1].lstrip()
    end = _SENTENCE_END.search(rest)
    return (rest[: end.start()] if end else rest).removesuffix("**")


def _last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = deque(pattern.finditer(text), maxlen=1)
    return last[0] if last else None
