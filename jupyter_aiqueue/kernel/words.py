"""How things are called and written for people: labels, numbers, durations, times.

Labels are English, or Chinese where the locale or JupyterLab's language setting says so.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_dir

from ..core.text import one_line
from .chinese import LABELS as CHINESE


def tr(label: str) -> str:
    """``label`` in the user's language, or as it is."""
    return CHINESE.get(label, label) if _is_chinese(*_locale()) else label


def _locale() -> tuple[str, float]:
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable)
        if value and value.split(".")[0] not in ("C", "POSIX"):
            spoken = value
            break
    else:
        spoken = ""
    try:
        return spoken, _lab_settings().stat().st_mtime
    except OSError:
        return spoken, 0.0


def _lab_settings() -> Path:
    folder = (
        os.environ.get("JUPYTERLAB_SETTINGS_DIR") or f"{jupyter_config_dir()}/lab/user-settings"
    )
    name = "@jupyterlab/translation-extension/plugin.jupyterlab-settings"
    return Path(folder) / name


@lru_cache(maxsize=1)
def _is_chinese(spoken: str, settings_changed: float) -> bool:
    """JupyterLab's own language setting wins over the environment."""
    if settings_changed:
        try:
            chosen = json.loads(_lab_settings().read_text()).get("locale", "default")
            if chosen != "default":
                return bool(str(chosen).lower().startswith("zh"))
        except (OSError, ValueError, AttributeError):
            pass  # it may hold comments: the setting is a convenience
    return spoken.lower().startswith("zh")


def number(value: float | None) -> str:
    """A count or a measured value, at most four digits after the first; ``unknown`` for None."""
    if value is None:
        return tr("unknown")
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.4g}"


def rate(per_second: float | None) -> str:
    """Messages per second, or per minute when there are few."""
    if per_second is None:
        return tr("unknown")
    if per_second == 0:
        return "0/min"
    return f"{per_second:.3g}/s" if per_second >= 1 else f"{per_second * 60:.3g}/min"


def clock(moment: datetime | None, today: datetime | None = None) -> str:
    """A moment in local time: the clock today, with the date on other days."""
    if moment is None:
        return tr("unknown")
    local = moment.astimezone()
    today = (today or datetime.now(timezone.utc)).astimezone()
    if local.date() == today.date():
        return local.strftime("%H:%M:%S")
    return local.strftime("%Y-%m-%d %H:%M")


def size(count: int | None) -> str:
    """Bytes as ``312 MiB``."""
    if count is None:
        return tr("unknown")
    value, unit = float(count), "B"
    for bigger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, bigger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"


def config_value(value: Any, limit: int = 40) -> str:
    """A config value as it was given, on one line."""
    return one_line(value if isinstance(value, str) else _json(value), limit)


def metric(value: Any) -> str:
    """A metric, numbers rounded."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return one_line(value if isinstance(value, str) else _json(value), 40)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
