"""The panel: load, a form to submit, and the jobs, live, made of ipywidgets.

One thread measures and acts, so that neither the cell that shows the panel nor a click on it
waits for the broker. It changes the widgets' values only when there is something new, and
stops when the panel is closed, or left alone for long: its messages would keep a kernel from
being taken for idle.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..core.config import find_broker
from ..core.errors import AIQueueError
from ..core.job import JobRecord, State
from ..core.load import Load
from ..core.monitor import Monitor
from ..core.parameters import parse_config
from ..core.text import jobs_text, load_text, percent, short_id
from ..core.topology import DEFAULT_GROUPS
from .html import bar, esc, mark, page, prose
from .job_card import cancelling, config_items, expectations
from .job_tables import Jobs
from .load_view import load_body, load_html
from .words import metric, tr

if TYPE_CHECKING:
    from ..core.client import Client
    from ..core.collect.foresight import Foresight
    from ..core.handle import JobHandle

#: Seconds between two looks at load and jobs.
_INTERVAL = 2.0

#: Seconds without a click after which the panel rests.
_ATTENTION = 1800.0

#: Seconds after which the load is shown anew, though nothing but its age has changed.
_LONGEST_SILENCE = 30.0

#: Jobs shown, newest first, and those that wait of which it is told when they start: the ones
#: that wait longest.
_ROWS, _FORESEEN = 12, 4

_EXAMPLE = "model_type: resnet50\ndata_path: /data/train\nepochs: 10"


class Panel(widgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
    """Load, form and jobs. Close it with ``panel.close()``.

    Args:
        client: whom to ask.
        queues: plain queues to show beside the groups.
    """

    def __init__(self, client: Client, *, queues: Sequence[str] = ()) -> None:
        self._client = client
        self._monitor = Monitor(find_broker, queues=queues, interval=_INTERVAL)
        self._actions: queue.Queue[Callable[[], str] | None] = queue.Queue()
        self._stopping = False
        self._touched = time.monotonic()
        self._load: Load | None = None
        self._shown_load, self._shown_at = "", 0.0
        self._records: list[JobRecord] = []
        #: Jobs that go on, and how to stop hearing of them.
        self._followed: dict[str, tuple[JobHandle, Callable[[], None]]] = {}
        self._load_view = widgets.HTML(page(esc(tr("Asking the broker …")), label=tr("Load")))
        self._form = _Form(self._submit)
        self._message = widgets.HTML()
        self._everywhere = widgets.Checkbox(
            value=client.notebook is None,
            description=tr("all notebooks"),
            indent=False,
            layout=widgets.Layout(width="auto"),
        )
        self._everywhere.observe(lambda _: self._touch(), "value")
        refresh = widgets.Button(
            description=tr("Refresh"), icon="refresh", layout=widgets.Layout(width="auto")
        )
        refresh.on_click(lambda _: self._touch())
        self._rows = [_Row(self._cancel, self._retry, self._release) for _ in range(_ROWS)]
        self._empty = widgets.HTML(page(esc(tr("No jobs yet.")), label=tr("Jobs")))
        super().__init__(
            [
                self._load_view,
                self._form,
                self._message,
                widgets.HBox([self._everywhere, refresh]),
                self._empty,
                *self._rows,
            ]
        )
        self._thread = threading.Thread(target=self._run, name="aiqueue panel", daemon=True)
        self._monitor.start()
        self._thread.start()

    def close(self) -> None:
        """Take the panel away and stop what feeds it."""
        self._stopping = True
        self._actions.put(None)
        self._monitor.stop(timeout=0)
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget; where none can be shown (saved notebooks), what it showed."""
        made = super()._repr_mimebundle_(**options)
        data = made[0] if isinstance(made, tuple) else made
        if data is not None:
            load, jobs = self._load, Jobs(self._records)
            data["text/html"] = (load_html(load) if load else "") + jobs._repr_html_()
            parts = [] if load is None else [load_text(load)]
            data["text/plain"] = "\n\n".join([*parts, jobs_text(self._records)])
        return made

    # -- clicks, in the kernel's thread -------------------------------------------------------

    def _touch(self) -> None:
        self._do(lambda: "")

    def _do(self, action: Callable[[], str]) -> None:
        """Have the panel's thread act; what it returns is said below the form."""
        self._touched = time.monotonic()
        self._actions.put(action)

    def _submit(self) -> None:
        form = self._form.read()

        def submit() -> str:
            config = parse_config(form.pop("config"), source="The config")
            handle = self._client.submit(form.pop("task"), config, **form)
            return " ".join([f"Submitted {handle.id}.", *handle.notes])

        self._do(submit)

    def _cancel(self, job_id: str) -> None:
        self._do(lambda: self._client.cancel(job_id))

    def _retry(self, job_id: str) -> None:
        self._do(lambda: f"Submitted again as {self._client.retry(job_id).id}.")

    def _release(self, job_id: str) -> None:
        self._do(lambda: self._client.release(job_id))

    # -- the panel's thread -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._live()
        except Exception as error:
            self._say(f"The panel has stopped ({type(error).__name__}). Open a new one.", bad=True)
            raise
        finally:
            self._follow([])

    def _live(self) -> None:
        while not self._stopping:
            if time.monotonic() - self._touched < _ATTENTION:
                self._show_load(self._monitor.look())
                self._show_jobs()
                self._act(_INTERVAL)
            else:
                self._follow([])
                self._say(tr("The panel rests; Refresh wakes it."))
                self._act(None)

    def _act(self, timeout: float | None) -> None:
        """Wait for the next click or the next look, and do what was clicked."""
        with suppress(queue.Empty):
            action = self._actions.get(timeout=timeout)
            if action is not None and not self._stopping:
                try:
                    self._say(action())
                except AIQueueError as error:
                    self._say(str(error), bad=True)

    def _say(self, text: str, *, bad: bool = False) -> None:
        if not text:
            self._message.value = ""
            return
        kind = "aiq-note" if bad else "aiq-dim"
        self._message.value = page(f'<div class="{kind}">{prose(text)}</div>', label=tr("Message"))

    def _show_load(self, load: Load) -> None:
        self._load = load
        if self._stopping:
            return
        self._form.offer([group.name for group in load.groups if group.queue is None])
        # Without the hints, which tell ages and so are never the same.
        body = re.sub(r' title="[^"]*"', "", load_body(load, footer=False))
        late = time.monotonic() - self._shown_at
        if body != self._shown_load or late > _LONGEST_SILENCE:
            self._shown_load, self._shown_at = body, time.monotonic()
            self._load_view.value = load_html(load)

    def _show_jobs(self) -> None:
        notebook = None if self._everywhere.value else self._client.notebook
        records = self._client.records(notebook=notebook, limit=_ROWS)
        self._follow([record for record in records if not record.state.is_final])
        self._records = [
            self._followed[record.job_id][0].record if record.job_id in self._followed else record
            for record in records
        ]
        if self._stopping:
            return
        self._empty.layout.display = "none" if self._records else None
        expected = self._foresee()
        for index, row in enumerate(self._rows):
            record = self._records[index] if index < len(self._records) else None
            row.show(record, expected.get(record.job_id) if record else None)

    def _foresee(self) -> dict[str, Foresight | None]:
        """What is expected of jobs that wait, by id."""
        waiting = [record for record in self._records if record.state is State.QUEUED]
        try:
            return {
                record.job_id: self._client.forecaster.ask(record).foresight
                for record in waiting[-_FORESEEN:]
            }
        except AIQueueError:  # the load says that the broker is away
            return {}

    def _follow(self, records: Sequence[JobRecord]) -> None:
        """Hear of the progress of ``records`` and of no others: ledgers do not hold it."""
        wanted = {record.job_id for record in records}
        for job_id in self._followed.keys() - wanted:
            self._followed.pop(job_id)[1]()
        for job_id in wanted - self._followed.keys():
            handle = self._client.job(job_id)
            self._followed[job_id] = (handle, handle.on_change(lambda _: None))


class _Form(widgets.VBox):  # type: ignore[misc]
    """What to submit."""

    def __init__(self, submit: Callable[[], None]) -> None:
        wide = widgets.Layout(width="16em")
        self._task = widgets.Text("train_model", description=tr("Task"), layout=wide)
        self._group = widgets.Dropdown(options=DEFAULT_GROUPS, description=tr("Group"), layout=wide)
        self._priority = widgets.Dropdown(
            options=[(tr(name), name) for name in ("high", "normal", "low")],
            value="normal",
            description=tr("Priority"),
            layout=wide,
        )
        self._name = widgets.Text(description=tr("Name"), layout=wide)
        self._config = widgets.Textarea(
            placeholder=_EXAMPLE,
            layout=widgets.Layout(width="26em", height="10.5em"),
        )
        button = widgets.Button(
            description=tr("Submit"), button_style="primary", icon="paper-plane"
        )
        button.on_click(lambda _: submit())
        left = widgets.VBox([self._task, self._name, self._group, self._priority, button])
        super().__init__([widgets.HBox([left, self._config])])

    def read(self) -> dict[str, Any]:
        """The fields, as `Client.submit` calls them; ``config`` as text."""
        return {
            "task": self._task.value.strip() or None,
            "group": self._group.value,
            "priority": self._priority.value,
            "name": self._name.value.strip() or None,
            "config": self._config.value,
        }

    def offer(self, groups: Sequence[str]) -> None:
        """Let one choose among ``groups``."""
        if groups and tuple(groups) != tuple(self._group.options):
            chosen = self._group.value
            self._group.options = tuple(groups)
            if chosen in groups:
                self._group.value = chosen


class _Row(widgets.HBox):  # type: ignore[misc]
    """One job with the buttons that make sense for it."""

    def __init__(
        self,
        cancel: Callable[[str], None],
        retry: Callable[[str], None],
        release: Callable[[str], None],
    ) -> None:
        self._record: JobRecord | None = None
        self._expected: list[str] = []
        self._actions = {False: cancel, True: retry}
        self._text = widgets.HTML(layout=widgets.Layout(flex="1 1 0", overflow="hidden"))
        self._release = widgets.Button(
            description=tr("Release"),
            icon="play",
            layout=widgets.Layout(width="7em", flex="0 0 auto", display="none"),
        )
        self._release.on_click(lambda _: self._released(release))
        self._button = widgets.Button(layout=widgets.Layout(width="7em", flex="0 0 auto"))
        self._button.on_click(lambda _: self._clicked())
        parts = [self._text, self._release, self._button]
        super().__init__(parts, layout=widgets.Layout(display="none"))

    def show(self, record: JobRecord | None, foresight: Foresight | None = None) -> None:
        """Show ``record`` and what is expected of it, or nothing."""
        expected = expectations(foresight)
        if record == self._record and expected == self._expected:
            return
        self._record, self._expected = record, expected
        if record is None:
            self.layout.display = "none"
            return
        self._text.value = _row_html(record, foresight)
        final = record.state.is_final
        self._button.description = tr("Retry") if final else tr("Cancel")
        self._button.icon = "repeat" if final else "stop"
        self._button.disabled = record.cancelling
        self._release.layout.display = None if record.state is State.HELD else "none"
        self._release.disabled = record.cancelling
        self.layout.display = None

    def _clicked(self) -> None:
        if self._record is not None:
            self._button.disabled = True
            self._actions[self._record.state.is_final](self._record.job_id)

    def _released(self, release: Callable[[str], None]) -> None:
        if self._record is not None:
            self._release.disabled = True
            release(self._record.job_id)


def _row_html(record: JobRecord, foresight: Foresight | None = None) -> str:
    name = record.name or record.task or tr("job")
    parts = [mark(record.state, cancelling(record)), f"<strong>{esc(name)}</strong>"]
    parts.append(f'<span class="aiq-id aiq-dim">{esc(short_id(record.job_id))}</span>')
    if record.progress is not None:
        parts.append(f"{bar(record.progress)}<span>{percent(record.progress)}</span>")
    if record.state is State.HELD and record.hold:
        parts.append(f"<span>{esc(tr('waits for'))} {esc(record.hold)}</span>")
    if foresight is not None:
        words = esc(" · ".join(expectations(foresight)[:2]))
        parts.append(f'<span title="{esc(str(foresight))}">{words}</span>')
    metrics = " · ".join(f"{key} {metric(value)}" for key, value in record.metrics.items())
    parts.append(f'<span class="aiq-cut">{esc(metrics)}</span>')
    parts.append(f'<code class="aiq-dim aiq-cut">{esc(" ".join(config_items(record)))}</code>')
    row = f'<div class="aiq-progress aiq-row aiq-{record.state.value}">{"".join(parts)}</div>'
    return page(row, label=f"{name}: {tr(record.state.value)}")
