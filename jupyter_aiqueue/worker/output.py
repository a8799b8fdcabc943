"""What a run prints: the whole of it in a bounded file, the end of it in memory."""

from __future__ import annotations

import codecs
import re
import threading
from io import FileIO
from pathlib import Path

#: Characters of the last line, for a sentence.
_LONGEST_LAST_LINE = 200

#: What terminals take for colours, titles and the like (ECMA-48, 5.4 and 8.3.89).
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)")


class Output:
    """Copies a pipe into ``file`` and keeps a tail of the text.

    Positions count characters of the whole output, also of what is no longer kept.

    Args:
        file_limit: bytes after which the file gets no more.
        tail_limit: bytes of text to keep.
    """

    def __init__(self, file: Path, *, file_limit: int, tail_limit: int) -> None:
        self._file = file
        self._left = file_limit
        self._tail_limit = tail_limit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lock = threading.Lock()
        self._kept = ""
        self._length = 0
        self._told = 0

    def pump(self, pipe: FileIO) -> None:
        """Copy until the other end closes; to be run in a thread of its own."""
        try:
            log = self._file.open("ab", buffering=0)
        except OSError:
            self._left, log = 0, None
        try:
            while chunk := pipe.read(65_536):
                self._keep(self._decoder.decode(chunk))
                if log is not None:
                    self._write(log, chunk)
        except (OSError, ValueError):
            pass  # the pipe was closed under us: the run is over
        finally:
            self._keep(self._decoder.decode(b"", final=True))
            if log is not None:
                log.close()

    def _write(self, log: FileIO, chunk: bytes) -> None:
        if self._left <= 0:
            return
        try:
            log.write(chunk[: self._left])
            if len(chunk) > self._left:
                log.write(b"\n[the worker keeps no more of this output]\n")
        except OSError:  # a full disk shall not stop the experiment
            self._left = 0
        self._left -= len(chunk)

    def _keep(self, text: str) -> None:
        with self._lock:
            self._length += len(text)
            self._kept += text
            # Cut seldom: slicing at every line would copy the tail each time.
            if len(self._kept) > 2 * self._tail_limit:
                self._kept = self._kept[-self._tail_limit :] if self._tail_limit else ""

    def tail(self) -> tuple[int, str]:
        """Position and text of the tail."""
        with self._lock:
            return self._from(0)

    def last_line(self) -> str | None:
        """The last line that says something, as a terminal shows it, shortened; or None."""
        for line in reversed(re.split(r"[\r\n]", _ESCAPES.sub("", self.tail()[1]))):
            shown = " ".join("".join(c if c.isprintable() else " " for c in line).split())
            if shown:
                long = len(shown) > _LONGEST_LAST_LINE
                return shown[: _LONGEST_LAST_LINE - 1] + "…" if long else shown
        return None

    def news(self) -> tuple[int, str] | None:
        """Position and text of what came since the last call; the tail of it if it is much."""
        with self._lock:
            if self._told == self._length:
                return None
            start, self._told = self._told, self._length
            return self._from(start)

    def _from(self, start: int) -> tuple[int, str]:
        wanted = min(self._length - start, self._tail_limit, len(self._kept))
        text = self._kept[len(self._kept) - wanted :]
        data = text.encode("utf-8", "replace")
        if len(data) > self._tail_limit:
            text = data[len(data) - self._tail_limit :].decode("utf-8", "ignore")
        return self._length - len(text), text
