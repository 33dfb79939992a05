"""Places, codes, names of browsers, counters and the memory of challenges, by themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.features.passkeys.ceremonies import KEPT, PER_NETWORK, SECONDS, Ceremonies, Ceremony
from app.features.passkeys.rules import (
    NAME_LENGTH,
    Place,
    b64url,
    code_hash,
    device,
    from_b64url,
    new_code,
    place_of,
    plain_name,
    safe_next,
    went_back,
)
from app.settings import Settings


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://dockrev.example.com", Place("https://dockrev.example.com", "dockrev.example.com")),
        ("https://Dockrev.Example.com:443/x?y", Place("https://dockrev.example.com", "dockrev.example.com")),
        ("https://dockrev.lan:8443", Place("https://dockrev.lan:8443", "dockrev.lan")),
        ("http://localhost:50883", Place("http://localhost:50883", "localhost")),
        ("http://dockrev.localhost", Place("http://dockrev.localhost", "dockrev.localhost")),
        ("http://dockrev.lan", None), ("https://192.168.1.2", None), ("https://[::1]", None),
        ("http://127.0.0.1", None),
        ("https://me@dockrev.lan", None), ("https://", None), ("", None), ("https://a:b", None),
        ("ftp://localhost", None),
        ("https://dockrev.lan:99999", None), ("https://evil.example\\@dockrev.lan", None), ("https://[", None),
    ],
)  # fmt: skip
def test_where_passkeys_work(address: str, place: Place | None) -> None:
    assert place_of(address) == place


@pytest.mark.parametrize("wrong", ["http://dockrev.lan", "dockrev.lan", "https://dockrev.lan/x", "https://"])
def test_a_wrong_origin_stops_the_start(wrong: str) -> None:
    with pytest.raises(ValueError, match="own https address"):
        Settings(passkeys_origin=wrong)
    assert Settings(passkeys_origin="https://dockrev.lan/").passkeys_origin == "https://dockrev.lan"


@pytest.mark.parametrize(
    ("text", "lands"),
    [
        ("/", "/"), ("/services?q=a%20b", "/services?q=a%20b"), ("/queue/job_1", "/queue/job_1"),
        ("//evil.example", "/"), ("///evil.example", "/"), ("/\\evil.example", "/"), ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"), ("/a\nb", "/"), ("/ü", "/"), ("", "/"), ("/login", "/"), ("/login/", "/"),
        ("/login?next=/", "/"), ("/loginx", "/loginx"), ("/logout", "/"), ("/api", "/"), ("/api/jobs", "/"),
        ("/" + "a" * 3000, "/"), ("\t//evil.example", "/"),
    ],
)  # fmt: skip
def test_where_signing_in_leads(text: str, lands: str) -> None:
    assert safe_next(text) == lands


def test_codes_are_long_plain_and_forgiving() -> None:
    made = {new_code() for _ in range(200)}
    assert len(made) == 200
    for code in made:
        assert len(code.replace("-", "")) == 16 and not set(code) & set("ILOU")
        assert code_hash(code) == code_hash(f"  {code.lower().replace('-', ' ')} ")
    assert code_hash("O1l-i") == code_hash("0111") != code_hash("0112")
    assert len({code_hash(code) for code in made}) == 200


@pytest.mark.parametrize(
    ("stored", "told", "back"),
    [(0, 0, False), (0, 1, False), (1, 2, False), (1, 1, True), (5, 4, True), (5, 0, True), (0, 2**32 - 1, False)],
)
def test_counters(stored: int, told: int, back: bool) -> None:
    assert went_back(stored, told) is back


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/129.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/129.0 Safari/537.36 Edg/129.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/18.0 Safari/605", "Safari on macOS"),
        ("curl/8.0", "An unknown browser"), ("", "An unknown browser"), ("<b>Linux", "A browser on Linux"),
    ],
)  # fmt: skip
def test_browsers_in_words(agent: str, words: str) -> None:
    assert device(agent) == words


def test_names_and_bytes() -> None:
    assert plain_name("  a\x00b \n c ") == "ab c" and len(plain_name("x" * 99)) == NAME_LENGTH
    assert from_b64url(b64url(b"\xff\xfe\x00")) == b"\xff\xfe\x00"
    for wrong in ("é", "a", "!!!!"):
        with pytest.raises(ValueError, match="base64url"):
            from_b64url(wrong)


def ceremony(network: str = "10.0.0.1") -> Ceremony:
    return Ceremony("login", b"challenge", "https://dockrev.lan", network)


def test_a_ticket_counts_once_for_its_kind_and_for_a_while() -> None:
    now = [0.0]
    open_ones = Ceremonies(lambda: now[0])
    ticket = open_ones.begin(ceremony())
    assert open_ones.take(ticket, "login") is not None and open_ones.take(ticket, "login") is None
    assert open_ones.take(open_ones.begin(ceremony()), "add") is None
    late = open_ones.begin(ceremony())
    now[0] = SECONDS
    assert open_ones.take(late, "login") is None and open_ones.take("", "login") is None


def test_who_begins_many_loses_the_oldest_of_their_own() -> None:
    open_ones = Ceremonies(lambda: 0.0)
    mine = open_ones.begin(ceremony("10.0.0.1"))
    theirs = [open_ones.begin(ceremony("10.0.0.2")) for _ in range(PER_NETWORK + 5)]
    assert open_ones.take(theirs[0], "login") is None and open_ones.take(theirs[-1], "login") is not None
    assert open_ones.take(mine, "login") is not None
    for number in range(KEPT * 2):
        open_ones.begin(ceremony(f"10.1.{number // 250}.{number % 250}"))
    assert len(open_ones) <= KEPT


def test_the_library_waits_for_the_first_ceremony() -> None:
    """It costs 12 MB that nobody pays who does not use it."""
    ask = "import app.main, sys; print([name for name in ('webauthn', 'cbor2', 'OpenSSL') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "[]\n"
