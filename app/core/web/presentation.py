"""How plain data becomes text on a page: times, sizes, digests, names that somebody else wrote.

`install` puts everything a template may use into a Jinja environment. Functions here are pure. Text from outside
(labels, tags, log lines) is always cleaned by `clean`; escaping itself is Jinja's work (autoescape).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment
from markupsafe import Markup, escape

from app.core.clock import utc_now
from app.core.web.assets import Assets
from app.core.web.languages import (
    LANGUAGES,
    N_,
    _,
    gap,
    gettext,
    known,
    ngettext,
    npgettext,
    pgettext,
    script_texts,
    spoken,
    spoken_tag,
)
from app.core.web.languages import (
    plural as plural,
)

_ANSI: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_DIGEST: Final = re.compile(r"(?:[a-z0-9+._-]+:)?([0-9a-fA-F]{12,})")
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_MONTHS: Final = (
    N_("Jan"), N_("Feb"), N_("Mar"), N_("Apr"), N_("May"), N_("Jun"),
    N_("Jul"), N_("Aug"), N_("Sep"), N_("Oct"), N_("Nov"), N_("Dec"),
)  # fmt: skip


def clean(text: object, limit: int = 400) -> str:
    """`text` without terminal sequences, control and direction-changing characters; at most `limit` characters."""
    raw = str(text)
    kept = _CONTROL.sub("", _ANSI.sub("", raw[: limit * 4]))
    return kept if len(kept) <= limit and len(raw) <= limit * 4 else kept[: limit - 1] + "…"


def size(count: float | None) -> str:
    """Bytes as a person reads them, in powers of ten: `58 MB`, `1.04 GB`."""
    if count is None:
        return _("size unknown")
    value = float(max(count, 0))
    unit = 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    if unit == 0 or value >= 99.5:
        return f"{value:.0f} {_UNITS[unit]}"
    text = f"{value:.{1 if value >= 10 else 2}f}".rstrip("0").rstrip(".")
    return f"{text.replace('.', ',') if spoken() == 'de' else text} {_UNITS[unit]}"


def duration(seconds: float | None) -> str:
    """A span of time in words: `41 s`, `3 min 49 s`, `2 h 05 min`, `23 days`."""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    if whole == 0 and seconds > 0:
        return _("under 1 s")
    if whole < 60:
        return _("%(seconds)s s", seconds=whole)
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        if rest:
            return _("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=rest)
        return _("%(minutes)s min", minutes=minutes)
    if whole < 172800:
        hours, rest = divmod(whole // 60, 60)
        if rest:
            return _("%(hours)s h %(minutes)s min", hours=hours, minutes=f"{rest:02d}")
        return _("%(hours)s h", hours=hours)
    return plural(whole // 86400, "day")


def took(seconds: float | None) -> str:
    """A span of time for a column of figures: `00:48`, `1:02:10`."""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{secs:02d}" if hours else f"{minutes:02d}:{secs:02d}"


def relative(moment: datetime, now: datetime) -> str:
    """How far away `moment` is: `just now`, `7 min ago`, `in 3 h`, `12 days ago`. Scripts say the same (times.js)."""
    delta = (now - moment).total_seconds()
    past, span = delta >= 0, abs(delta)
    if span < 10:
        return _("just now") if past else _("in a moment")
    if span < 60:
        count = round(span)
        return _("%(count)s s ago", count=count) if past else _("in %(count)s s", count=count)
    if span < 3600:
        count = int(span // 60)
        return _("%(count)s min ago", count=count) if past else _("in %(count)s min", count=count)
    if span < 86400:
        count = int(span // 3600)
        return _("%(count)s h ago", count=count) if past else _("in %(count)s h", count=count)
    days = int(span // 86400)
    if past:
        return ngettext("%(num)s day ago", "%(num)s days ago", days)
    return ngettext("in %(num)s day", "in %(num)s days", days)


def day(moment: datetime) -> str:
    """`22 Nov 2026`, in the zone of `moment`."""
    return _("%(day)s %(month)s %(year)s", day=moment.day, month=_MONTHS[moment.month - 1], year=moment.year)


def absolute(moment: datetime) -> str:
    """The full time for a title: `22 Nov 2026, 14:32:08 UTC`."""
    at = moment.astimezone(UTC)
    return f"{day(at)}, {at:%H:%M:%S} UTC"


def stamp(moment: datetime, now: datetime) -> str:
    """Clock time when it is today, day and clock time otherwise (UTC; the browser makes it local)."""
    at = moment.astimezone(UTC)
    if at.date() == now.astimezone(UTC).date():
        return f"{at:%H:%M:%S}"
    return _("%(day)s %(month)s %(clock)s", day=at.day, month=_MONTHS[at.month - 1], clock=f"{at:%H:%M}")


def short_digest(digest: str | None) -> str:
    """The first twelve hexadecimal digits, as Docker shows them; text that is no digest is only cleaned."""
    if not digest:
        return ""
    found = _DIGEST.fullmatch(digest)
    return found.group(1)[:12].lower() if found else clean(digest, 24)


def mid_digest(digest: str | None) -> str:
    """Algorithm, head and tail of a digest: `sha256:9b1f7c0de2a4…c31f`."""
    if not digest:
        return ""
    found = _DIGEST.fullmatch(digest)
    if not found:
        return clean(digest, 24)
    hexes = found.group(1).lower()
    return f"sha256:{hexes[:12]}…{hexes[-4:]}" if len(hexes) > 20 else f"sha256:{hexes}"


def short_id(identifier: str) -> str:
    """The end of an id, the part that differs: `#7QK2M9`."""
    return "#" + clean(identifier, 64).rpartition("_")[2][-6:]


def breakable(text: object, limit: int = 240) -> Markup:
    """An image reference or path that may wrap after `/` and before `:` and `@`."""
    parts = re.split(r"(?<=/)|(?=[:@])", clean(text, limit))
    return Markup("<wbr>").join(escape(part) for part in parts if part)


def sentence(text: str, limit: int = 600) -> str:
    """`text` cleaned, with a capital letter and a full stop."""
    cleaned = clean(text, limit).strip()
    chinese = spoken() == "zh" and any(char > "\u2e7f" for char in cleaned)
    stop = "" if cleaned[-1:] in ".!?…。！？" else "。" if chinese or cleaned[-1:] > "\u2e7f" else "."
    return cleaned[:1].upper() + cleaned[1:] + stop


def words(name: str) -> str:
    """`servicesWithCandidate` or `has_text` as words: `Services with candidate`."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", clean(name, 80)).replace("_", " ").strip()
    return text[:1].upper() + text[1:].lower()


def exact_pattern(text: str) -> str:
    """A value for the `pattern` attribute that only `text` itself fulfils."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\u{{{ord(c):x}}}" for c in text)


def path(*segments: str) -> str:
    """An address of ours from segments that may hold anything: `path("services", a, b)`."""
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def with_query(address: str, **values: object) -> str:
    """`address` with the given query; empty and missing values are left out, truth is `1`."""
    kept = {
        k: ("1" if v is True else str(v)) for k, v in values.items() if v is not None and v is not False and v != ""
    }
    return f"{address}?{urlencode(kept)}" if kept else address


def web_link(address: str | None) -> str | None:
    """`address` when it is a plain http(s) link or a path of ours, else nothing: a label never becomes a script."""
    if not address:
        return None
    text = clean(address, 2000).strip()
    if text.startswith("/") and not text.startswith(("//", "/\\")):
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in {"http", "https"} and parts.netloc and "@" not in parts.netloc else None


def compact_json(value: object) -> str:
    """JSON for a hidden form field or a data attribute (escaped by Jinja like any text)."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _icons(assets: Callable[[str], str]) -> Callable[..., Markup]:
    made: dict[tuple[str, bool, str], Markup] = {}

    def icon(name: str, spin: bool = False, extra: str = "") -> Markup:
        known = made.get((name, spin, extra))
        if known is None:
            css = " ".join(part for part in ("i", "spin" if spin else "", extra) if part)
            known = made[name, spin, extra] = Markup(
                '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>'
            ).format(css, assets("icons.svg"), name)
        return known

    return icon


def _times(now: Callable[[], datetime]) -> Callable[..., Markup]:
    def time_tag(moment: datetime | None, fmt: str = "stamp", css: str = "") -> Markup:
        """`<time>` whose text the browser makes local. fmt: stamp, clock, hm, rel, date."""
        if moment is None:
            return Markup("")
        at = moment.astimezone(UTC)
        present = now()
        text = {
            "rel": lambda: relative(at, present),
            "clock": lambda: f"{at:%H:%M:%S}",
            "hm": lambda: f"{at:%H:%M}",
            "date": lambda: day(at),
        }.get(fmt, lambda: stamp(at, present))()
        css = f' class="{escape(css)}"' if css else ""
        # put together by hand: `Markup.format` takes ten times as long, and a list has hundreds of these
        return Markup(  # noqa: S704
            f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}" data-fmt="{escape(fmt)}" title="{escape(absolute(at))}"{css}>'
            f"{escape(text)}</time>"
        )

    return time_tag


def _marked(translate: Callable[..., str]) -> Callable[..., Markup]:
    """For templates: the text is ours and may hold markup, the values may be anybody's and are escaped."""

    def marked(*texts: Any, **values: Any) -> Markup:
        if not values:
            return Markup(translate(*texts))  # noqa: S704
        return Markup(translate(*texts, **{name: escape(value) for name, value in values.items()}))  # noqa: S704

    return marked


def _speak(environment: Environment) -> None:
    """`_()`, `ngettext()` and so on, and `{% trans %}`. `N_()` is for tables: imported templates are run once."""
    environment.add_extension("jinja2.ext.i18n")
    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # added by the extension
    environment.policies["ext.i18n.trimmed"] = True
    environment.globals.update(
        _=_marked(gettext), gettext=_marked(gettext), ngettext=_marked(ngettext), pgettext=_marked(pgettext),
        npgettext=_marked(npgettext), N_=N_, gap=gap, known=known, languages=LANGUAGES, spoken=spoken,
        spoken_tag=spoken_tag, script_texts=lambda: script_texts(spoken()),
    )  # fmt: skip


def install(environment: Environment, assets: Assets, now: Callable[[], datetime] = utc_now) -> Environment:
    """Give `environment` every filter and global the templates use; returns it. Autoescape must be on."""
    filters: dict[str, Callable[..., Any]] = {
        "clean": clean, "size": size, "duration": duration, "took": took, "short_digest": short_digest,
        "mid_digest": mid_digest, "short_id": short_id, "breakable": breakable, "plural": plural,
        "exact_pattern": exact_pattern, "words": words,
        "sentence": sentence, "web_link": web_link, "compact_json": compact_json,
    }  # fmt: skip
    environment.filters.update(filters)
    _speak(environment)
    environment.globals.update(
        asset=assets,
        icon=_icons(assets),
        time=_times(now),
        now=now,
        path=path,
        with_query=with_query,
        supervisor_way="",
    )
    return environment
