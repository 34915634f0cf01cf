"""What long work shows while it goes on: a line in a terminal, a line that changes in a notebook, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

_wanted: bool | Callable[[str], object] | None = None


def set_progress(show: bool | Callable[[str], object] | None) -> None:
    """Shows progress always (`True`), never (`False`), or only in terminals and notebooks (`None`); or passes each text to
    `show` when it is callable, and an empty text at the end of the work."""
    global _wanted
    _wanted = show


def _notebook() -> bool:
    library = sys.modules.get("IPython")
    shell = library.get_ipython() if library is not None else None
    return shell is not None and "zmqshell" in type(shell).__module__


class _Line:
    """One line that changes in place."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.width = 0
        self.handle: Any = None

    def __call__(self, text: str) -> None:
        # Work that is done at once shows nothing.
        if time.monotonic() - self.begun < 0.2:
            return
        if _notebook():
            from IPython.display import display

            shown = {"text/plain": text, "text/html": f"<code>{text}</code>" if text else ""}
            if self.handle is None:
                self.handle = display(shown, raw=True, display_id=True)
            elif self.handle is not None:
                self.handle.update(shown, raw=True)
            return
        sys.stderr.write("\r" + text[:100].ljust(self.width) + ("" if text else "\r"))
        sys.stderr.flush()
        self.width = min(len(text), 100)


def listener() -> Callable[[str], object] | None:
    """Who is told of progress; `None` where nobody is."""
    if callable(_wanted):
        return _wanted
    if _wanted is None and not (_notebook() or sys.stderr.isatty()):
        return None
    return None if _wanted is False else _Line()
