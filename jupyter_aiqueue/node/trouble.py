"""Reading from a node's logs why it did not start."""

from __future__ import annotations

import re
from pathlib import Path

_LINES = 8
_WIDTH = 200
#: Bytes; only the end of a log is of interest.
_READ = 200_000

_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:.+]+ \[(?P<level>\w+)\] (<[\d.]+> ?)?")
_BAD_LEVELS = {"error", "critical", "alert", "emergency"}
#: What follows on this line and the next ones is the reason.
_REASON = re.compile(r"^(?:Error|Exception) during startup:|\*\* FATAL \*\*")
#: Decoration, and Erlang's own report of the same end, in one line of thousands of letters.
_NOISE = re.compile(r"^[\s=]*$|^BOOT FAILED|Kernel pid terminated|^Crash dump is being written")

#: What RabbitMQ says of stored files that it cannot read. Small files are empty after a power
#: failure or on a full disk; the others were cut off or overwritten.
_DAMAGE = re.compile(
    r"not_a_dets_file|Cannot read schema|premature_eof|unknown_wal_file_format"
    r"|wal_checksum_validation_failure|checksum_validation_failed"
    r"|(?:cannot_read_file|feature_flags_file_read_error)[^|]{1,600}erl_parse"
    r"|rabbit_version:recorded/"
)
_PORT = re.compile(r"eaddrinuse|address already in use", re.IGNORECASE)
_DEAD_LETTERING = re.compile(r"supervisor: \{local,rabbit_fifo_dlx_sup\}")
_VERSION = re.compile(r"Starting RabbitMQ (\d+\.\d+\.\d+\S*) on Erlang")


class StartLogs:
    """What the logs have said since a start began."""

    def __init__(self, *files: Path) -> None:
        self._begin = {file: file.stat().st_size if file.exists() else 0 for file in files}

    def text(self) -> str:
        """Everything since then, of all files, one after the other."""
        parts = []
        for file, begin in self._begin.items():
            try:
                with file.open("rb") as log:
                    size = log.seek(0, 2)
                    # A log that was rotated since begins anew.
                    log.seek(max(begin if begin <= size else 0, size - _READ))
                    parts.append(log.read().decode(errors="replace"))
            except OSError:
                continue
        return "\n".join(parts)

    def version(self) -> str | None:
        """The version of RabbitMQ that was starting, if it came to say so."""
        found = _VERSION.search(self.text())
        return found[1] if found else None

    def data_are_damaged(self) -> bool:
        """Whether RabbitMQ complained of stored files."""
        return bool(_DAMAGE.search("\n".join(self._complaints())))

    def dead_lettering_failed(self) -> bool:
        """Whether the dead-lettering of some queue ended for good, which nothing else tells."""
        return bool(_DEAD_LETTERING.search("\n".join(self._complaints())))

    def port_was_taken(self) -> bool:
        """Whether something complained of a port in use."""
        return bool(_PORT.search("\n".join(self._complaints())))

    def last_words(self, secrets: tuple[str, ...] = ()) -> str:
        """The lines that say most about the end, without ``secrets``; may be empty."""
        lines = [line for line in self._complaints() if not _NOISE.search(line)]
        reasons = [number for number, line in enumerate(lines) if _REASON.search(line)]
        if reasons:
            # Both logs tell the same.
            end = min([reasons[0] + _LINES, *reasons[1:2]])
            chosen = lines[reasons[0] : end]
        else:
            chosen = lines[-_LINES:]
        text = "\n".join(line[:_WIDTH] for line in chosen)
        for secret in filter(None, secrets):
            text = text.replace(secret, "…")
        return text

    def _complaints(self) -> list[str]:
        """Lines of errors, and those without a level, which programs print."""
        found: list[str] = []
        for line in self.text().splitlines():
            stamp = _STAMP.match(line)
            if stamp is None:
                found.append(line.rstrip())
            elif stamp["level"] in _BAD_LEVELS:
                found.append(line[stamp.end() :].rstrip())
        return found
