"""Forecasts: when a job would start and finish, as ranges with a track record.

It imports NumPy: import it where it is used, not at the top of a module.
"""

from .batch import Ahead, BatchForecast, forecast_batch, line_ahead
from .engine import forecast
from .history import Run, RunTimes, Similar
from .outlook import NO_HISTORY, NO_WORKER, Forecast, Range
from .rates import Arrivals, Turnover
from .situation import (
    Likeness,
    ReturningJob,
    RunningJob,
    Situation,
    WaitingJob,
    WorkerSlots,
    config_key,
)
from .track import Claim, Hits, Levels, TrackRecord, What

__all__ = [
    "NO_HISTORY",
    "NO_WORKER",
    "Ahead",
    "Arrivals",
    "BatchForecast",
    "Claim",
    "Forecast",
    "Hits",
    "Levels",
    "Likeness",
    "Range",
    "ReturningJob",
    "Run",
    "RunTimes",
    "RunningJob",
    "Similar",
    "Situation",
    "TrackRecord",
    "Turnover",
    "WaitingJob",
    "What",
    "WorkerSlots",
    "config_key",
    "forecast",
    "forecast_batch",
    "line_ahead",
]
