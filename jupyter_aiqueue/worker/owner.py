"""Who runs a job: enough to say later, on the same machine, whether that process still lives.

Run folders may be on a file system that machines share, and a machine may hold many
containers with process numbers of their own. So "it is gone" is said only of a process of
this very boot of the kernel and of the same process numbers, or of this machine before its
last boot. Of everything else it is not known.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import msgspec

from . import processes


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's process, and the run that it started."""

    #: Of the run; its processes carry it, see `processes.end_marked`.
    token: str
    worker: str
    pid: int
    #: When the process began, in ticks of the kernel's clock.
    started: float | None = None
    #: Linux only, None elsewhere: the boot, the machine, and what process numbers count in.
    boot: str | None = None
    machine: str | None = None
    namespace: str | None = None

    @property
    def alive(self) -> bool | None:
        """Whether the process lives; None when that cannot be known from here."""
        here = this_process("", "")
        if self.boot is None or here.boot is None:
            return None
        if self.boot != here.boot:
            # Nothing outlives a boot: but is it this machine that has been booted since?
            same = self.machine is not None and self.machine == here.machine
            return False if same else None
        if self.namespace is None or self.namespace != here.namespace:
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # there is one, of another user
        found = processes.row(self.pid)
        if found is None or self.started is None:
            return None
        return found.started == self.started and not found.zombie


def this_process(token: str, worker: str) -> Owner:
    """This process as the owner of a run."""
    pid = os.getpid()
    row = processes.row(pid)
    return Owner(
        token=token,
        worker=worker,
        pid=pid,
        started=row.started if row is not None else None,
        boot=_boot(),
        machine=_machine(),
        namespace=_namespace(),
    )


@lru_cache(maxsize=1)
def _boot() -> str | None:
    return _text("/proc/sys/kernel/random/boot_id")


@lru_cache(maxsize=1)
def _machine() -> str | None:
    """This machine and no other, or None.

    Copies of one image may share a machine-id (machine-id(5) asks for another one, in vain),
    but not the addresses that network cards were made with. A container sees none.
    """
    name = _text("/etc/machine-id")
    # Only what has a device behind it: the rest is made anew at every boot.
    addresses = [
        _text(str(d.with_name("address"))) for d in Path("/sys/class/net").glob("*/device")
    ]
    cards = sorted(address for address in addresses if address and _is_universal(address))
    if name is None or not cards:
        return None
    return hashlib.sha256("\n".join([name, *cards]).encode()).hexdigest()[:32]


def _is_universal(address: str) -> bool:
    """Whether the maker gave the address: emulators give many machines the same local one."""
    with suppress(ValueError):
        return not int(address.partition(":")[0], 16) & 0b10
    return False


def _namespace() -> str | None:
    """What process numbers and their start times count in; see namespaces(7)."""
    with suppress(OSError):
        # A /proc of other process numbers than ours tells nothing of them.
        if str(Path("/proc/self").readlink()) == str(os.getpid()):
            return " ".join(
                str(link.readlink())
                for link in (Path("/proc/self/ns/pid"), Path("/proc/self/ns/time"))
                if link.is_symlink()
            )
    return None


def _text(path: str) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        return Path(path).read_text().strip() or None
    return None
