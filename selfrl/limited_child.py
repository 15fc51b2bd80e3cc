"""The child's side of `limited_program`: runs a program's calls one after the other under hard limits.

It reads one JSON object, and writes a line of JSON for the program and then one for each call. All that it imports is
there before the limits fall: afterwards a hostile program's child can open no file. The module evaluates nothing by
itself: the script that starts the child hands `compile` and `exec` over, so that whoever imports it can run no text.
"""

from __future__ import annotations

import builtins
import codecs
import json
import math
import os
import resource
import signal
import sys
import unicodedata  # noqa: F401  "\N{DASH}" looks it up
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import CodeType
from typing import Any, NoReturn

from selfrl.literal_text import TooLongError, literal, read_arguments
from selfrl.program_rules import BUILTINS, KINDS, refusal

MEMORY_BYTES = 1 << 29
OUT_OF_MEMORY = 77  # exit status
NOBODY = 65534
_ENCODINGS = ("ascii", "latin-1", "cp1252", "utf-16", "utf-32", "unicode_escape")
Answer = tuple[str | None, str | None, str]
Build = Callable[..., CodeType]  # the builtin compile
Execute = Callable[[CodeType, dict[str, Any]], None]  # the builtin exec


def _type_of(value: object) -> type:
    """`type` for programs: with three arguments, or for a function, it would make what no rule here knows."""
    kind = type(value)
    if kind not in KINDS:
        raise TypeError("Only the type of a literal can be asked for.")
    return kind


def _answer(code: CodeType, arguments: str, offered: dict[str, Any], execute: Execute) -> Answer:
    scope: dict[str, Any] = {"__builtins__": dict(offered)}
    doing = "arguments"
    try:
        args, words = read_arguments(arguments)
        doing = "definition"
        execute(code, scope)
        doing = "error"
        value = scope["f"](*args, **words)
        doing = "no literal"
        return literal(value), None, ""
    except TooLongError:
        doing, name = "too long", ""
    except BaseException as error:  # whatever a program throws
        name = type(error).__name__
        if isinstance(error, MemoryError) and doing != "arguments":
            doing = "memory"
    return None, doing, name


def _limit(cpu_s: float) -> None:
    _set_limits(AS=MEMORY_BYTES, CPU=math.ceil(cpu_s) + 1, FSIZE=0, NPROC=0, CORE=0)


def _shut_in() -> None:
    """Nothing can be opened from here on; as root this process becomes nobody, whom the limits bind."""
    _set_limits(NOFILE=0)
    if os.geteuid() == 0:
        with suppress(OSError):  # a container may know no other user
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)


def _set_limits(**limits: int) -> None:
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def _say(answer: object) -> None:
    data = memoryview(json.dumps(answer).encode() + b"\n")
    while data:
        data = data[os.write(1, data) :]


def _compiled(request: dict[str, Any], build: Build) -> tuple[CodeType | None, str | None]:
    try:
        why = None if request["vetted"] else refusal(request["code"])
        code = None if why else build(request["code"], "<program>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None, "does not parse"
    return code, why


def main(build: Build, execute: Execute) -> NoReturn:
    """Answer the request on the standard input, and end."""
    try:
        _serve(json.load(sys.stdin), build, execute)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    os._exit(0)  # what a program left behind is not tidied up: its generators could go on for long


def _serve(request: dict[str, Any], build: Build, execute: Execute) -> None:
    warnings.simplefilter("ignore")
    for name in _ENCODINGS:
        codecs.lookup(name)
    offered = {name: getattr(builtins, name) for name in BUILTINS}
    for number in (signal.SIGPROF, signal.SIGXCPU):  # what the parent ignores, this process would ignore too
        signal.signal(number, signal.SIG_DFL)
    limit_s = request["limit_s"]
    _limit(limit_s * (len(request["calls"]) + 1))
    if not request["vetted"]:  # a benchmark's code may have Python look up an encoding in a file
        offered["type"] = _type_of
        _shut_in()
    # A signal that nothing handles: a program can catch any exception, but not this.
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    code, why = _compiled(request, build)
    _say(why)
    if code is not None:
        for arguments in request["calls"]:
            signal.setitimer(signal.ITIMER_PROF, limit_s)
            _say(_answer(code, arguments, offered, execute))
