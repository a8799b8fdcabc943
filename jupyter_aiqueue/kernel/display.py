"""How core's objects are shown in this shell: formatters, so that core need not know IPython."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core.handle import JobHandle
    from ..core.job import JobRecord
    from ..core.load import Load
    from ..core.plan import Plan
    from .live import Bundle, LiveDisplays

#: Types are named by module and name, so that they need not be imported to be taught.
_HANDLE = ("jupyter_aiqueue.core.handle", "JobHandle")
_RECORD = ("jupyter_aiqueue.core.job", "JobRecord")
_LOAD = ("jupyter_aiqueue.core.load", "Load")
_PLAN = ("jupyter_aiqueue.core.plan", "Plan")
_LISTS = (
    ("jupyter_aiqueue.kernel.job_tables", "Jobs"),
    ("jupyter_aiqueue.kernel.dead_letters", "DeadLetters"),
    ("jupyter_aiqueue.kernel.dead_letters", "DeadLetterCards"),
    ("jupyter_aiqueue.kernel.findings", "Findings"),
)


class Display:
    """The formatters of one shell, and its live displays.

    Args:
        shell: the IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._live: LiveDisplays | None = None
        #: Handles that a magic has shown by itself, so that its result is not shown again.
        self._shown: set[int] = set()

    @property
    def is_rich(self) -> bool:
        """Whether a front end shows HTML and replaces what was shown (a kernel, no terminal)."""
        return hasattr(self._shell, "kernel")

    def register(self) -> None:
        """Teach the shell how our objects look."""
        for formatter, name, show in self._formats():
            formatter.for_type_by_name(*name, show)
        if self.is_rich:
            self._shell.events.register("post_run_cell", self._cell_ended)

    def unregister(self) -> None:
        """Undo `register`; live displays stay as they are."""
        for formatter, name, _ in self._formats():
            formatter.deferred_printers.pop(name, None)
            for kind in list(formatter.type_printers):
                if (kind.__module__, kind.__name__) == name:
                    del formatter.type_printers[kind]
        if self.is_rich:
            self._shell.events.unregister("post_run_cell", self._cell_ended)
        if self._live is not None:
            self._live.close()

    def _formats(self) -> Iterator[tuple[Any, tuple[str, str], Callable[..., Any]]]:
        """Formatters of the shell, the type, and what shows it."""
        formatter = self._shell.display_formatter
        yield formatter.formatters["text/plain"], _HANDLE, self._printer(_handle_text)
        yield formatter.formatters["text/plain"], _RECORD, self._printer(_record_text)
        yield formatter.formatters["text/html"], _RECORD, _record_html
        yield formatter.formatters["text/plain"], _LOAD, self._printer(_load_text)
        yield formatter.formatters["text/html"], _LOAD, _load_html
        yield formatter.formatters["text/plain"], _PLAN, self._printer(str)
        for name in _LISTS:
            yield formatter.formatters["text/plain"], name, self._printer(repr)
        if self.is_rich:
            yield formatter.ipython_display_formatter, _HANDLE, self._show_result
            yield formatter.ipython_display_formatter, _PLAN, self._show_plan

    def _printer(self, text: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
        """A pretty printer; in a terminal its lines are no longer than that is wide."""

        def show(thing: Any, printer: Any, cycle: bool) -> None:  # noqa: ARG001
            printer.text(text(thing) if self.is_rich else fitted(text(thing)))

        return show

    def show(self, handle: JobHandle) -> None:
        """Show a job now, once: when it is also the cell's result, not again."""
        if self.is_rich:
            self._show(handle)
            self._shown.add(id(handle))
        else:
            print(fitted(_handle_text(handle)))  # noqa: T201

    def _show_result(self, handle: JobHandle) -> None:
        if id(handle) in self._shown:
            self._shown.discard(id(handle))
        else:
            self._show(handle)

    def _show_plan(self, plan: Plan) -> None:
        from .plan_view import outputs

        for data, metadata in outputs(plan):
            self._shell.display_pub.publish(data, metadata)

    def _cell_ended(self, _: Any) -> None:
        self._shown.clear()
        if self._live is not None:
            self._live.catch_up()

    def _show(self, handle: JobHandle) -> None:
        if self._live is None:
            from .live import LiveDisplays

            self._live = LiveDisplays(self._publish)
        self._live.show(handle)

    def _publish(self, data: Bundle, display_id: str, update: bool) -> None:
        self._shell.display_pub.publish(data, transient={"display_id": display_id}, update=update)


def fitted(text: str, width: int | None = None) -> str:
    """``text`` with its long lines continued on the next ones, indented.

    Args:
        width: columns; as many as the terminal has when None.
    """
    width = max(20, width or shutil.get_terminal_size().columns)
    lines = [
        line
        if len(line) <= width
        else textwrap.fill(line, width, subsequent_indent=" " * 6, break_on_hyphens=False)
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def _handle_text(handle: JobHandle) -> str:
    from .job_card import card_text

    return card_text(handle.record, handle.place, handle.notes)


def _record_text(record: JobRecord) -> str:
    from .job_card import card_text

    return card_text(record)


def _record_html(record: JobRecord) -> str:
    from .job_card import card_html

    return card_html(record)


def _load_text(load: Load) -> str:
    from ..core.text import load_text

    return load_text(load)


def _load_html(load: Load) -> str:
    from .load_view import load_html

    return load_html(load)
