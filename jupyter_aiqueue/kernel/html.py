"""HTML pieces: escaping, the one style sheet, state marks, bars.

No script, and colours from the front end's theme (``--jp-*``) with middle tones to fall back
on, so that what is saved in a notebook reads well in light and dark, with or without Jupyter.
"""

from __future__ import annotations

import re
from html import escape as _escape
from typing import Any

from ..core.job import State
from ..core.text import SHAPES, percent
from .words import tr

_STYLE = """
.aiq{--aiq-ok:var(--jp-success-color1,#2e8b57);--aiq-bad:var(--jp-error-color1,#d64545);
--aiq-go:var(--jp-brand-color1,#1976d2);--aiq-warn:var(--jp-warn-color1,#c77d0a);
--aiq-off:var(--jp-ui-font-color2,#808080);--aiq-line:var(--jp-border-color2,rgba(128,128,128,.3));
--aiq-soft:var(--jp-layout-color2,rgba(128,128,128,.12));
font:var(--jp-ui-font-size1,13px)/1.5 var(--jp-ui-font-family,system-ui,sans-serif);
color:var(--jp-ui-font-color1,inherit);overflow-x:auto}
.aiq *{box-sizing:border-box}
.aiq.aiq code,.aiq .aiq-id{font-family:var(--jp-code-font-family,ui-monospace,monospace);
font-size:.92em;color:inherit;background:none!important;padding:0!important}
.aiq .aiq-dim{color:var(--aiq-off)}
.aiq .aiq-queued,.aiq .aiq-held,.aiq .aiq-cancelled{--c:var(--aiq-off)}
.aiq .aiq-running{--c:var(--aiq-go)}.aiq .aiq-retrying{--c:var(--aiq-warn)}
.aiq .aiq-succeeded,.aiq .aiq-level-ok{--c:var(--aiq-ok)}
.aiq .aiq-failed,.aiq .aiq-dead,.aiq .aiq-level-error{--c:var(--aiq-bad)}
.aiq .aiq-level-warning{--c:var(--aiq-warn)}.aiq .aiq-level-note{--c:var(--aiq-go)}
.aiq .aiq-mark{white-space:nowrap;font-weight:600}
.aiq .aiq-shape{color:var(--c);display:inline-block;width:1.3em;text-align:center;font-style:normal}
.aiq .aiq-card{max-width:62em;border:1px solid var(--aiq-line);border-left:4px solid var(--c);
border-radius:4px;padding:.55em .9em}
.aiq .aiq-card>div+div{margin-top:.3em}
.aiq .aiq-head{display:flex;gap:.9em;align-items:baseline;flex-wrap:wrap}
.aiq .aiq-head .aiq-id{margin-left:auto}
.aiq .aiq-title{font-weight:600}
.aiq .aiq-facts>span+span::before{content:"·";margin:0 .5em;color:var(--aiq-off)}
.aiq .aiq-progress{display:flex;gap:.8em;align-items:center}
.aiq .aiq-progress>*{white-space:nowrap}
.aiq .aiq-bar{flex:0 1 22em;min-width:4em;height:.5em;border-radius:.25em;
background:var(--aiq-soft);overflow:hidden}
.aiq .aiq-bar i{display:block;height:100%;border-radius:inherit;background:var(--c,var(--aiq-go))}
.aiq .aiq-row>*{flex:0 0 auto}.aiq .aiq-row .aiq-mark{min-width:7.5em}
.aiq .aiq-row .aiq-bar,.aiq td .aiq-bar{flex:0 0 7em}.aiq .aiq-row code{flex:0 1 auto}
.aiq .aiq-row span.aiq-cut{max-width:24em}
.aiq .aiq-cut{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;min-width:0}
.aiq .aiq-note{color:inherit}.aiq .aiq-note::before{content:"⚠ ";color:var(--aiq-warn)}
.aiq .aiq-slots{display:inline-flex;gap:2px;margin-left:.6em;vertical-align:middle}
.aiq .aiq-slots i{width:.7em;height:.7em;border-radius:2px;border:1px solid var(--aiq-go)}
.aiq .aiq-slots i.on{background:var(--aiq-go)}
.aiq table.aiq-t{border-collapse:collapse;border:0;margin:.3em 0;font-size:inherit;color:inherit}
.aiq table.aiq-t tr:nth-child(n){background:none}
.aiq table.aiq-t tbody tr:nth-child(n):hover{background:var(--aiq-soft)}
.aiq table.aiq-t th,.aiq table.aiq-t td{text-align:left;vertical-align:top;padding:.28em .8em;
border:0;border-bottom:1px solid var(--aiq-line);overflow-wrap:break-word;
font-size:inherit;color:inherit}
.aiq table.aiq-t th{font-weight:600;color:var(--aiq-off);white-space:nowrap}
.aiq table.aiq-t .aiq-r{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.aiq table.aiq-t .aiq-n{white-space:nowrap}
.aiq table.aiq-t .aiq-w{min-width:13em;max-width:24em}
.aiq .aiq-w span{white-space:nowrap}
.aiq table.aiq-t td small{display:block;color:var(--aiq-off)}
.aiq .aiq-foot{font-size:.88em;color:var(--aiq-off);margin-top:.3em}
.aiq details{margin:.2em 0}.aiq summary{cursor:pointer;color:var(--aiq-off)}
.aiq .aiq-log{max-height:22em;overflow:auto;background:var(--aiq-soft);padding:.4em .7em}
.aiq .aiq-log code{white-space:pre-wrap;overflow-wrap:anywhere}
.aiq ul{margin:.2em 0;padding-left:1.2em}
.aiq ul.aiq-findings{list-style:none;padding:0}
.aiq ul.aiq-findings li{display:flex;gap:.5em;padding:.2em 0}
.aiq ul.aiq-findings .aiq-shape{flex:none}
.aiq.aiq .aiq-command{display:block;user-select:all;white-space:pre-wrap;overflow-wrap:anywhere;
background:var(--aiq-soft)!important;padding:.2em .6em!important;margin:.2em 0;border-radius:3px}
"""

_SHEET = "<style>" + re.sub(r"\n", "", _STYLE) + "</style>"


def esc(value: Any) -> str:
    """``value`` as text that HTML takes for nothing else."""
    return _escape(str(value), quote=True)


def page(*parts: str, label: str) -> str:
    """One output: the style sheet and ``parts`` under a label for screen readers."""
    return f'{_SHEET}<div class="aiq" role="group" aria-label="{esc(label)}">{"".join(parts)}</div>'


def prose(text: str) -> str:
    """A sentence with its `code` marked as such."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", esc(text))


def mark(state: State, note: str = "") -> str:
    """Shape and word of a state."""
    return (
        f'<span class="aiq-mark aiq-{state.value}"><i class="aiq-shape" aria-hidden="true">'
        f"{SHAPES[state]}</i>{esc(tr(state.value) + note)}</span>"
    )


def bar(part: float) -> str:
    """A progress bar, ``part`` from 0 to 1."""
    whole = percent(part).removesuffix(" %")
    return (
        f'<div class="aiq-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{whole}"><i style="width:{whole}%"></i></div>'
    )


def slot_boxes(running: int, slots: int, most: int = 24) -> str:
    """One small box per slot, filled when it is taken."""
    if not 0 < slots <= most:
        return ""
    boxes = "".join(f'<i class="{"on" if i < running else "off"}"></i>' for i in range(slots))
    return f'<span class="aiq-slots" aria-hidden="true">{boxes}</span>'
