"""Ctrl-C at a chosen point of some code: wherever the interpreter looks for signals, one point after the other."""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

FAR = 60.0
_BEFORE = ("RESUME", "CALL")
_JUMP = "JUMP_BACKWARD"


@cache
def _points(code: CodeType) -> frozenset[int]:
    """Return the offsets of what is executed right after the interpreter has looked for signals.

    It does so in a function that begins, when a call has returned, and in a loop that begins anew. What is raised then
    belongs to the instruction before: not where that is the last one of a `try` or a `with`.
    """
    instructions = list(dis.get_instructions(code))
    protected = dis.Bytecode(code).exception_entries

    def handler(offset: int) -> int | None:
        return next((entry.target for entry in protected if entry.start <= offset < entry.end), None)

    after = {
        two.offset
        for one, two in pairwise(instructions)
        if one.opname.startswith(_BEFORE) and handler(one.offset) == handler(two.offset)
    }
    return frozenset(after | {one.argval for one in instructions if one.opname.startswith(_JUMP)})


class _Interruption:
    """Raises `KeyboardInterrupt` at one point of the files with a certain word in their path."""

    def __init__(self, where: str, point: int) -> None:
        self._where, self._left = where, point

    def enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        if self._where not in frame.f_code.co_filename:
            return None
        frame.f_trace = self._step  # before the next line: Python 3.13 looks for it there
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode" and frame.f_lasti in _points(frame.f_code):
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt
        return self._step


def interrupted_everywhere(where: str, make: Callable[[], Callable[[], Any]]) -> Iterator[int]:
    """Run what `make` gives again and again, each time interrupted one point later; yield after each interruption.

    Args:
        where: A part of the path of the files in which Ctrl-C may strike; `""` for any.
        make: Prepares one run.
    """
    point = 1
    while _is_interrupted(make(), _Interruption(where, point)):
        yield point
        point += 1


def _is_interrupted(run: Callable[[], Any], interruption: _Interruption) -> bool:
    """Run something in a thread, whose tracing is nobody else's; return whether Ctrl-C has struck in it."""
    struck: list[bool] = []

    def target() -> None:
        sys._getframe().f_trace_opcodes = True  # for Python 3.12, which looks for it in `settrace`
        sys.settrace(interruption.enter)
        try:
            run()
        except KeyboardInterrupt:
            struck.append(True)
        finally:
            sys.settrace(None)

    assert ends(target)
    return bool(struck)


def ends(run: Callable[[], Any]) -> bool:
    """Return whether something comes to its end, and does not hang."""
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(FAR)
    return not thread.is_alive()
