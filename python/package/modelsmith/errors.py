"""Exceptions: one class for each kind of trouble, each with the place where it is.

The text of an exception says what is wrong, where, and what to do. `kind`, `message`, `file`, `offset`, `tensor`, `node`,
`help` and `findings` have the parts.

>>> import modelsmith
>>> try:
...     modelsmith.load("nothing.onnx")
... except modelsmith.NotFoundError as e:
...     print(e.kind, e.file)
io nothing.onnx
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any


class ModelsmithError(RuntimeError):
    """What every exception of this package is."""

    kind: str = "fault"
    exit_code: int = 4
    message: str
    file: str | None
    offset: int | None
    tensor: str | None
    node: str | None
    help: str | None
    findings: list[str]

    def __init__(
        self,
        text: str,
        message: str | None = None,
        place: dict[str, Any] | None = None,
        help: str | None = None,
        findings: Iterable[str] = (),
    ) -> None:
        super().__init__(text)
        place = place or {}
        self.message = message or text
        self.file = place.get("file")
        self.offset = place.get("offset")
        self.tensor = place.get("tensor")
        self.node = place.get("node")
        self.help = help
        self.findings = list(findings)

    def __reduce__(self) -> tuple[Any, ...]:
        place = {"file": self.file, "offset": self.offset, "tensor": self.tensor, "node": self.node}
        return type(self), (str(self), self.message, place, self.help, self.findings)


class UsageError(ModelsmithError, ValueError):
    """The call is wrong: an option, a shape, a name that the model does not have."""

    kind = "usage"
    exit_code = 2


class DamagedError(ModelsmithError, ValueError):
    """A file is damaged or is not what it claims to be."""

    kind = "damaged"
    exit_code = 3


class FaultError(ModelsmithError):
    """A fault of this program."""


class UnsupportedError(ModelsmithError, NotImplementedError):
    """Valid, but it holds something that is not supported."""

    kind = "unsupported"
    exit_code = 5


class FileError(ModelsmithError, OSError):
    """A file cannot be read or written, a disk is full, a budget is reached."""

    kind = "io"
    exit_code = 6

    def __init__(self, text: str, *parts: Any) -> None:
        OSError.__init__(self, text)
        ModelsmithError.__init__(self, text, *parts)

    def __str__(self) -> str:
        return str(self.args[0])


class NotFoundError(FileError, FileNotFoundError):
    """There is no such file."""


_KINDS: dict[str, type[ModelsmithError]] = {c.kind: c for c in (UsageError, DamagedError, FaultError, UnsupportedError, FileError)}


def _of(kind: str, text: str, message: str, place: dict[str, Any], help: str | None, findings: list[str]) -> ModelsmithError:
    return _KINDS.get(kind, FaultError)(text, message, place, help, findings)


def _must_exist(path: str | bytes | os.PathLike[str]) -> None:
    """Raises `NotFoundError` where there is no file `path`."""
    if not os.path.exists(path):
        text = os.fspath(path)
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        raise NotFoundError(f"{text}: there is no such file", "there is no such file", {"file": text})
