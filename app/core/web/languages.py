"""The language somebody reads pages in, and the texts in it (docs/languages.md).

The English texts are the keys of the catalogues, so English needs none; another language is loaded when it is first
asked for. The language is that of the running request (`speaking.py` sets it) and English everywhere else: in JSON, in
jobs, in the log. A literal per cent sign in a text that is translated is written `%%`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations
from pathlib import Path
from typing import Any, Final

from app.core.web.wording import Form, fill

LANGUAGES: Final = {"en": "English", "de": "Deutsch", "zh": "中文"}
"""Each named in itself, as the switch shows them."""
TAGS: Final = {"en": "en", "de": "de", "zh": "zh-Hans"}
COOKIE: Final = "dockrev_lang"
_FOLDER: Final = Path(__file__).parents[2] / "languages"
_SCRIPTS: Final = "js\x04"  # how gettext joins a context and its text
_ERRORS: Final = "error"  # the context of what `.ci/error_texts.py` finds
_FIELD: Final = re.compile(r"\w+(\.\w+)+")  # as settings are called in the API
_LONGEST: Final = 1000
_DEPTH: Final = 3
_language: ContextVar[str] = ContextVar("language", default="en")
_texts: ContextVar[Catalogue | None] = ContextVar("texts", default=None)


class Catalogue(GNUTranslations):
    """What `.ci/messages` compiled for one language."""

    _forms: list[tuple[Form, str]] | None = None

    def forms(self) -> list[tuple[Form, str]]:
        """What errors say with values in it, and its translation; the most telling first."""
        if self._forms is None:
            texts: Mapping[Any, str] = vars(self)["_catalog"]
            start = f"{_ERRORS}\x04"
            found = [
                (Form(key.removeprefix(start)), text)
                for key, text in texts.items()
                if isinstance(key, str) and key.startswith(start) and "%(" in key
            ]
            self._forms = sorted(found, key=lambda each: -each[0].weight)
        return self._forms

    def scripts(self) -> dict[str, str]:
        """The texts of scripts, by their English."""
        texts: Mapping[Any, str] = vars(self)["_catalog"]
        return {
            key.removeprefix(_SCRIPTS): text
            for key, text in texts.items()
            if isinstance(key, str) and key.startswith(_SCRIPTS)
        }


@cache
def _load(language: str, catalogue: str = "") -> Catalogue:
    with (_FOLDER / f"{catalogue}{language}.mo").open("rb") as file:
        return Catalogue(file)


def speak(language: str, catalogue: str = "") -> None:
    """Set the language of what runs in this context from here on; one that is not known is English. `catalogue` is what
    the files of a process with a smaller one begin with."""
    known = language if language in LANGUAGES else "en"
    _language.set(known)
    _texts.set(None if known == "en" else _load(known, catalogue))


def spoken() -> str:
    """`en`, `de` or `zh`."""
    return _language.get()


def spoken_tag() -> str:
    """The language as an HTML `lang`."""
    return TAGS[_language.get()]


def gap() -> str:
    """What stands between two sentences: a space, and in Chinese nothing."""
    return "" if _language.get() == "zh" else " "


def negotiate(cookie: str, accepted: str, otherwise: str = "en") -> str:
    """What was chosen with the switch, else the most wanted of `Accept-Language` that there is, else `otherwise`."""
    if cookie in LANGUAGES:
        return cookie
    best, weight = otherwise, 0.0
    for part in accepted[:500].split(","):
        wanted, _, parameters = part.strip().partition(";")
        language = wanted.strip().lower().partition("-")[0]
        quality = _quality(parameters)
        if language in LANGUAGES and quality > weight:
            best, weight = language, quality
    return best


def _quality(parameters: str) -> float:
    """`q` of RFC 9110 §12.4.2; what is no number counts as nothing."""
    name, _, value = parameters.replace(" ", "").partition("=")
    if not name:
        return 1.0
    try:
        quality = float(value) if name.lower() == "q" else 1.0
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0


def gettext(message: str, /, **values: object) -> str:
    """`message` in the language of the reader, with its `%(name)s` filled in."""
    texts = _texts.get()
    text = message if texts is None else texts.gettext(message)
    return text % values if "%" in text else text


def ngettext(one: str, many: str, count: int, **values: object) -> str:
    """The form for `count`, which is `%(num)s` in it."""
    texts = _texts.get()
    text = (one if count == 1 else many) if texts is None else texts.ngettext(one, many, count)
    return text % {"num": count, **values} if "%" in text else text


def pgettext(context: str, message: str, /, **values: object) -> str:
    """`gettext` for a text that means several things; `context` tells which."""
    texts = _texts.get()
    text = message if texts is None else texts.pgettext(context, message)
    return text % values if "%" in text else text


def npgettext(context: str, one: str, many: str, count: int, **values: object) -> str:
    """`ngettext` with a context."""
    texts = _texts.get()
    text = (one if count == 1 else many) if texts is None else texts.npgettext(context, one, many, count)
    return text % {"num": count, **values} if "%" in text else text


def known(message: str) -> str | None:
    """What a text that only comes at run time (an error, a remedy) is in the reader's language; None when nobody
    translated it. Texts with values are found by their form (`wording.py`), and so are two that were joined."""
    texts = _texts.get()
    if texts is None or not message:
        return message
    found = texts.gettext(message)
    return found if found != message else _told(message, _DEPTH)


def told(message: str) -> str:
    """`known`, or the text as it is."""
    return known(message) or message


def _told(message: str, depth: int) -> str | None:
    found = retold(message, lambda text: (_told(text, depth - 1) if depth else None) or text)
    if found is None and depth and len(message) <= _LONGEST:
        for sign, joined in ((". ", TWO_SENTENCES), (": ", ABOUT)):
            first, _sign, rest = message.partition(sign)
            parts = [_told(part, depth - 1) for part in (first, rest)] if rest else []
            if any(parts):
                return gettext(joined.message, told=parts[0] or first, hint=parts[1] or rest)
        field, _space, rest = message.partition(" ")
        if _FIELD.fullmatch(field) and (about := _told(rest, depth - 1)):
            return f"{field} {about}"
    return found


def retold(message: str, again: Callable[[str], str]) -> str | None:
    """`message` as one text, whole or with values, which `again` tells in their turn; None when there is none."""
    texts = _texts.get()
    if texts is None or len(message) > _LONGEST:
        return None
    message = message.removeprefix("Value error, ")  # pydantic's, before what we say ourselves
    found = texts.pgettext(_ERRORS, message)
    if found == message and " " in message:  # one word is the name of something
        found = texts.gettext(message)
    if found != message:
        return found
    for form, text in texts.forms():
        if (values := form.values(message)) is not None:
            return fill(text, {name: again(value) for name, value in values.items()})
    return None


_ = gettext


class N_:  # noqa: N801 - the name gettext's tools know
    """A text of a table that is made once: it is translated each time it is shown."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message

    def __str__(self) -> str:
        return gettext(self.message)

    def __len__(self) -> int:
        return len(str(self))

    def __eq__(self, other: object) -> bool:
        return self.message == (other.message if isinstance(other, N_) else other)

    def __hash__(self) -> int:
        return hash(self.message)


TWO_SENTENCES: Final = N_("%(told)s. %(hint)s")
ABOUT: Final = N_("%(told)s: %(hint)s")


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 service`, `3 services`; both forms are extracted where it is called with texts."""
    several = many or one + "s"
    return ngettext(f"%(num)s {one}", f"%(num)s {several}", count)


@cache
def script_texts(language: str, catalogue: str = "") -> dict[str, str]:
    """What scripts say, by its English; nothing for English itself."""
    return {} if language == "en" else _load(language, catalogue).scripts()
