"""What long work shows while it goes on: a line in a terminal, a line that changes in a notebook, nothing elsewhere."""

import sys
import time

_wanted = None


def set_progress(show):
    """Shows progress always (`True`), never (`False`), or only in terminals and notebooks (`None`); or passes each text to
    `show` when it is callable, and an empty text at the end of the work."""
    global _wanted
    _wanted = show


def _notebook():
    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell is not None else None
    return shell is not None and "zmqshell" in type(shell).__module__


class _Line:
    """One line that changes in place."""

    def __init__(self):
        self.begun = time.monotonic()
        self.width = 0
        self.handle = None

    def __call__(self, text):
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


def listener():
    """Who is told of progress; `None` where nobody is."""
    if callable(_wanted):
        return _wanted
    if _wanted is None and not (_notebook() or sys.stderr.isatty()):
        return None
    return None if _wanted is False else _Line()
