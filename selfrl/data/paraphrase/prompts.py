"""What the rewriter is asked, and how its reply is read."""

from __future__ import annotations

from selfrl.text import last_between

START, END = "<<<REWRITTEN>>>", "<<<END>>>"

INSTRUCTION = f"""You rewrite mathematical problems.

Rewrite the problem below so that
- it is told in other words and in another real-world scenario, with no phrase copied;
- its mathematical meaning is the same: every number and every relation stays, nothing is added or left out;
- its answer is exactly the same.

Do not solve it. Put only the rewritten problem between these markers:
{START}
...
{END}

Problem:
"""


def rewrite_request(problem: str) -> str:
    """The prompt for one problem."""
    return INSTRUCTION + problem


def read_rewrite(reply: str) -> str | None:
    r"""The text between the last pair of markers, or None if they are not there or hold nothing.

    >>> read_rewrite("Sure!\n<<<REWRITTEN>>>\nAdd 2 and 3.\n<<<END>>>")
    'Add 2 and 3.'
    """
    return last_between(reply, START, END)
