"""Moments as people say them: how long ago something was."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)


def moment(text: str) -> datetime:
    """A moment from its ISO 8601 text.  ValueError where it is none, or lies where no clock of ours has been."""
    found = datetime.fromisoformat(text)
    if not 1970 < found.year < 9999:
        raise ValueError(f"{text} is no moment")
    return found.astimezone(UTC)


def day(then: datetime) -> str:
    """The day here: "2026-07-18"."""
    return f"{then.astimezone():%Y-%m-%d}"


def ago(then: datetime) -> str:
    """ "today", "yesterday", "5 days ago", "4 months ago"; empty for a day that has not come yet: the clock was set back since. """
    here, that = now().astimezone().date(), then.astimezone().date()
    days = (here - that).days
    months = 12 * (here.year - that.year) + here.month - that.month - (here.day < that.day)
    if days < 0:
        return ""
    if days < 2:
        return ("today", "yesterday")[days]
    number, unit = (days, "day") if days < 14 else (days // 7, "week") if days < 60 else (months, "month") if months < 24 else \
        (months // 12, "year")
    return f"{number} {unit}s ago"


def since(then: datetime) -> str:
    """ "just now", "5 minutes ago", "2 hours ago", and from a day on as `ago` says it. """
    seconds = (now() - then).total_seconds()
    if seconds < -60:
        return "by a clock that was ahead of this one"
    if seconds < 60:
        return "just now"
    if seconds >= 86400:
        return ago(then)
    number, unit = (int(seconds // 60), "minute") if seconds < 3600 else (int(seconds // 3600), "hour")
    return f"{number} {unit}{'s' * (number > 1)} ago"


def ahead(then: datetime) -> str:
    """How far a deadline is: "today", "tomorrow", "in 12 days"; "3 days ago" when it has gone by."""
    days = (then.astimezone().date() - now().astimezone().date()).days
    return ago(then) if days <= 0 else "tomorrow" if days == 1 else f"in {days} days"
