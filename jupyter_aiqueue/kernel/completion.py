"""Tab completion for the magics' options, group names and job ids. Asks no broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .magics import AIQueueMagics

if TYPE_CHECKING:
    from .workbench import Workbench

_JOBS_SHOWN = 50

#: States that make sense for magics that act on jobs of some states only.
_ACTS_ON = {"job_cancel": False, "job_retry": True}


class Completer:
    """Answers IPython's ``complete_command`` hook.

    Args:
        magics: tells options and their values.
        bench: tells groups and jobs.
    """

    def __init__(self, magics: AIQueueMagics, bench: Workbench) -> None:
        self._magics, self._bench = magics, bench

    def register(self, shell: Any) -> None:
        """Hook in for every magic, with one and with two percent signs."""
        for kind, sign in (("line", "%"), ("cell", "%%")):
            for name in self._magics.magics[kind]:
                shell.set_hook("complete_command", self.complete, str_key=sign + name)

    def complete(self, _: Any, event: Any) -> list[str]:
        """What may stand where the cursor is; IPython keeps what fits."""
        line = event.text_until_cursor if hasattr(event, "text_until_cursor") else event.line
        words = str(line).split()
        if not words:
            return []
        name = words[0].lstrip("%")
        magic = getattr(self._magics, name, None)
        if magic is None:
            return []
        before = words[-1] if str(line)[-1:].isspace() else words[-2] if len(words) > 1 else ""
        actions = {option: a for a in magic.parser._actions for option in a.option_strings}
        action = actions.get(before)
        if action is not None and action.nargs != 0:
            found = self._values(action.dest, action.choices)
        elif event.symbol.startswith("-"):
            found = [*actions, "--help"]
        else:
            found = self._positional(name, magic.parser)
        return [word for word in found if word.startswith(event.symbol)]

    def _values(self, dest: str, choices: Any) -> list[str]:
        if choices:
            return [str(choice) for choice in choices]
        return self._groups() if dest == "group" else []

    def _positional(self, name: str, parser: Any) -> list[str]:
        kinds = {action.metavar for action in parser._actions if not action.option_strings}
        records = self._bench.known_jobs(self._magics.notebook) if kinds else []
        if "GROUP|ID" in kinds:
            dead = [record.job_id for record in records if record.state.value == "dead"]
            return [*self._groups(), *dead[:_JOBS_SHOWN]]
        if "ID" not in kinds:
            return []
        over = _ACTS_ON.get(name)
        return [r.job_id for r in records if over is None or r.state.is_final is over][:_JOBS_SHOWN]

    def _groups(self) -> list[str]:
        if self._bench.groups:
            return list(self._bench.groups)
        from ..core.topology import DEFAULT_GROUPS

        return list(DEFAULT_GROUPS)
