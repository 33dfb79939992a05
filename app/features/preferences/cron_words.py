"""A schedule in the reader's words. English ones are the cron library's; for others the usual forms are told here."""

from __future__ import annotations

from typing import Final

from app.core.web.languages import N_, _, spoken
from app.features.preferences import cron

_DAYS: Final = (
    N_("At %(at)s every Sunday"), N_("At %(at)s every Monday"), N_("At %(at)s every Tuesday"),
    N_("At %(at)s every Wednesday"), N_("At %(at)s every Thursday"), N_("At %(at)s every Friday"),
    N_("At %(at)s every Saturday"),
)  # fmt: skip
_NAMES: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def explained(text: str) -> str:
    """`Täglich um 03:00`; what has no words of its own is told to be a schedule, and empty for what is none."""
    english = cron.explain(text)
    if spoken() == "en" or not english:
        return english
    minute, hour, day, month, weekday = text.upper().split()
    usual = _every(minute, hour) if (day, month, weekday) == ("*", "*", "*") else ""
    if not usual and month == "*" and minute.isdigit() and hour.isdigit():
        usual = _at(f"{int(hour):02d}:{int(minute):02d}", day, weekday)
    return usual or _("A schedule of several times")


def _every(minute: str, hour: str) -> str:
    if hour == "*" and (minute == "*" or minute in ("*/1", "0-59")):
        return _("Every minute")
    if hour == "*" and minute.startswith("*/"):
        return _("Every %(count)s minutes", count=minute[2:])
    if hour == "*" and minute.isdigit():
        return _("Every hour at minute %(minute)s", minute=int(minute))
    if hour.startswith("*/") and minute.isdigit():
        return _("Every %(count)s hours at minute %(minute)s", count=hour[2:], minute=int(minute))
    return ""


def _at(time: str, day: str, weekday: str) -> str:
    if day == "*" and weekday == "*":
        return _("At %(at)s every day", at=time)
    if day == "*" and (weekday in _NAMES or weekday.isdigit()):
        number = _NAMES.index(weekday) if weekday in _NAMES else int(weekday) % 7
        return _(_DAYS[number].message, at=time)
    if weekday == "*" and day.isdigit():
        return _("At %(at)s on day %(day)s of every month", at=time, day=int(day))
    return ""
