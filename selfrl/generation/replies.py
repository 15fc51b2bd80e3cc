"""Parts of a model's reply."""

from __future__ import annotations


def last_between(reply: str, start: str, end: str) -> str | None:
    """What stands between the last pair of markers, or None if they are not there or hold nothing.

    >>> last_between("[no] or rather [ yes ]", "[", "]")
    'yes'
    >>> last_between("[cut off", "[", "]") is None
    True
    """
    stop = reply.rfind(end)
    begin = reply.rfind(start, 0, max(stop, 0))
    text = reply[begin + len(start) : stop].strip() if begin >= 0 and stop > begin else ""
    return text or None
