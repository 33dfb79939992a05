"""What commands say, made fit for a log: no credentials, no control sequences, no more than fits (spec §7.8)."""

from __future__ import annotations

import re
from urllib.parse import quote

MAX_READ_CHARS = 64 * 1024
MASK = "***"

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)|[@-Z\\-_])"
    r"|\x9b[0-?]{0,32}[@-~]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# Bounded repetitions everywhere: the text comes from strangers, and these patterns meet all of it.
_NAMED = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key)(?:s|[_-][\w-]{0,20})?"
_VALUE = r"(?:\"(?:[^\"\\\n]|\\.)*\"?|'[^'\n]*'?|[^\s,;&]+)"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(\w{1,20}://)[^\s/?#\"']*@"), rf"\1{MASK}@"),
    (
        re.compile(r"(?i)(authorization[\"']?\s{0,9}[:=]\s{0,9}[\"']?)(?:(?:basic|bearer|digest|token)\s+)?[^\s\"',]+"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {MASK}"),
    (re.compile(rf"(?i)((?<![\w.-])[\w.-]{{0,40}}{_NAMED}[\"']?\s{{0,9}}[:=]\s{{0,9}}){_VALUE}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)((?<!\w)(?:x-registry-)?auth[\"']?\s{{0,9}}[:=]\s{{0,9}}){_VALUE}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)((?<![\w-])--?(?=\w)[\w-]{{0,40}}?{_NAMED}\s+)(?!-)\S+"), rf"\1{MASK}"),
)


def plain(text: str) -> str:
    """`text` without escape sequences and control characters; line breaks and tabs stay."""
    return _CONTROL.sub("", _ANSI.sub("", text))


class Redactor:
    """Removes what looks like a credential, and every secret it was told of."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, secret: str) -> None:
        """Hide `secret` from now on, also in its URL-quoted form; too short ones would hide everything."""
        if len(secret) >= 3:
            self._secrets |= {secret, quote(secret, safe="")}

    def redact(self, text: str) -> str:
        """`text` (its first 64 KB) without credentials and control sequences."""
        told = plain(text[:MAX_READ_CHARS])
        for secret in sorted(self._secrets, key=len, reverse=True):
            told = told.replace(secret, MASK)
        for pattern, mask in _PATTERNS:
            told = pattern.sub(mask, told)
        return told


def redact(text: str) -> str:
    """`text` without anything that looks like a credential, and without control sequences."""
    return Redactor().redact(text)
