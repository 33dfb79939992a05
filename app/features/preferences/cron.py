"""Cron as people write it: five fields, evaluated in local time (spec §5.5, §7.11). Pure: zone and moment are given."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final

from cronsim import CronSim, CronSimError

from app.core.web.languages import N_, _, ngettext

MAX_CRON: Final = 200
FIELDS: Final = {
    "minute": N_("the minute %(given)s is not possible, it goes from 0 to 59"),
    "hour": N_("the hour %(given)s is not possible, it goes from 0 to 23"),
    "day-of-month": N_("the day of month %(given)s is not possible, it goes from 1 to 31"),
    "month": N_("the month %(given)s is not possible, it goes from 1 to 12"),
    "day-of-week": N_("the day of week %(given)s is not possible, it goes from 0 to 7, or SUN to SAT"),
}
_PROBE: Final = datetime(2024, 1, 1, tzinfo=UTC)


class CronProblem(ValueError):
    """Why a text is no schedule, in words for the person who wrote it."""


def canonical(text: str) -> str:
    """Trimmed, with single spaces: the form that is stored."""
    return " ".join(text.split())


def next_run(cron: str, after: datetime, zone: tzinfo) -> datetime:
    """The first time after `after`, in UTC. Times that a change to summer time leaves out come right after it, those
    that the change back brings twice count once. Raises CronProblem."""
    try:
        return next(_simulation(cron, after.astimezone(zone))).astimezone(UTC)
    except StopIteration:
        raise CronProblem(_("there is no such day")) from None


def check(cron: str) -> None:
    """Raises CronProblem when `cron` is not a schedule that ever comes round."""
    next_run(cron, _PROBE, UTC)


def explain(cron: str) -> str:
    """`At 00:00 every day`; empty for what is no schedule."""
    try:
        text: str = _simulation(cron, _PROBE).explain()
    except CronProblem:
        return ""
    return text


def _simulation(cron: str, moment: datetime) -> CronSim:
    if len(cron) > MAX_CRON:
        raise CronProblem(_("it is longer than %(count)s characters", count=MAX_CRON))
    fields = cron.split()
    if len(fields) != len(FIELDS):
        raise CronProblem(
            ngettext(
                "it has %(num)s field, cron has five: minute, hour, day of month, month, day of week",
                "it has %(num)s fields, cron has five: minute, hour, day of month, month, day of week",
                len(fields),
            )
        )
    try:
        return CronSim(" ".join(fields), moment)
    except CronSimError as error:
        raise CronProblem(_words(str(error), fields)) from None
    except (AssertionError, ValueError):  # what the library does not foresee
        raise CronProblem(_("it cannot be read")) from None


def _words(told: str, fields: list[str]) -> str:
    """The library's `Bad hour` with what was written and what is possible."""
    name = told.removeprefix("Bad ")
    if name not in FIELDS:
        return told
    given = fields[list(FIELDS).index(name)]
    return _(FIELDS[name].message, given=given)
