"""How core's objects are shown in this shell: formatters, so that core need not know IPython."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core.handle import JobHandle
    from ..core.load import Load
    from .live import Bundle, LiveDisplays

_HANDLE = ("jupyter_aiqueue.core.handle", "JobHandle")
_LOAD = ("jupyter_aiqueue.core.load", "Load")


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
        """Teach the shell how our objects look. The types are named, not imported."""
        formatters = self._shell.display_formatter.formatters
        formatters["text/plain"].for_type_by_name(*_HANDLE, _pretty_handle)
        formatters["text/plain"].for_type_by_name(*_LOAD, _pretty_load)
        formatters["text/html"].for_type_by_name(*_LOAD, _html_load)
        if self.is_rich:
            self._shell.display_formatter.ipython_display_formatter.for_type_by_name(
                *_HANDLE, self._show_result
            )
            self._shell.events.register("post_run_cell", self._cell_ended)

    def unregister(self) -> None:
        """Undo `register`; live displays stay as they are."""
        formatters = self._shell.display_formatter.formatters
        kinds = [(formatters["text/plain"], _HANDLE), (formatters["text/plain"], _LOAD)]
        kinds.append((formatters["text/html"], _LOAD))
        if self.is_rich:
            kinds.append((self._shell.display_formatter.ipython_display_formatter, _HANDLE))
            self._shell.events.unregister("post_run_cell", self._cell_ended)
        for formatter, (module, name) in kinds:
            formatter.deferred_printers.pop((module, name), None)
            for kind in list(formatter.type_printers):
                if (kind.__module__, kind.__name__) == (module, name):
                    del formatter.type_printers[kind]
        if self._live is not None:
            self._live.close()

    def show(self, handle: JobHandle) -> None:
        """Show a job now, once: when it is also the cell's result, not again."""
        if self.is_rich:
            self._show(handle)
            self._shown.add(id(handle))
        else:
            from .job_card import card_text

            print(card_text(handle.record, handle.place, handle.notes))  # noqa: T201

    def _show_result(self, handle: JobHandle) -> None:
        if id(handle) in self._shown:
            self._shown.discard(id(handle))
        else:
            self._show(handle)

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


def _pretty_handle(handle: JobHandle, printer: Any, cycle: bool) -> None:  # noqa: ARG001
    from .job_card import card_text

    printer.text(card_text(handle.record, handle.place, handle.notes))


def _pretty_load(load: Load, printer: Any, cycle: bool) -> None:  # noqa: ARG001
    from ..core.text import load_text

    printer.text(load_text(load))


def _html_load(load: Load) -> str:
    from .load_view import load_html

    return load_html(load)
