"""Passes for the supervisor as text and key: what is signed comes back, everything else opens nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.web import passes
from app.core.web.pass_key import NoKey, PassKey, key_id
from app.core.web.passes import BadPass, Pass, read, renewed, sent_in, sign

KEY, NOW = b"k" * 32, 1_800_000_000
GOOD = Pass(who="alice", sid="ses_1", iat=NOW, exp=NOW + passes.LIFETIME, touch_at=NOW)


def by_hand(document: Any, key: bytes = KEY, context: bytes = b"dockrev pass\0") -> str:
    """Signed well, whatever it says."""
    body = base64.urlsafe_b64encode(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).rstrip(b"=")
    mac = base64.urlsafe_b64encode(hmac.new(key, context + body, hashlib.sha256).digest()).rstrip(b"=")
    return f"{body.decode()}.{mac.decode()}"


def why_not(text: str, *, key: bytes = KEY, now: float = NOW) -> str:
    with pytest.raises(BadPass) as refused:
        read(text, key, now)
    return refused.value.reason


def test_what_is_signed_comes_back() -> None:
    assert read(sign(GOOD, KEY), KEY, NOW) == GOOD
    assert by_hand(asdict(GOOD)) == sign(GOOD, KEY)
    longest = replace(GOOD, who="\U0001f511" * passes.WHO_LENGTH, sid="s" * passes.WHO_LENGTH)
    assert read(sign(longest, KEY), KEY, NOW) == longest


def test_a_changed_character_anywhere_is_refused() -> None:
    text = sign(GOOD, KEY)
    for at, letter in enumerate(text):
        other = "A" if letter != "A" else "B"
        assert why_not(text[:at] + other + text[at + 1 :]) == "refused", at
    for cut in range(len(text)):
        assert why_not(text[:cut]) == "refused"
    for more in (text + "A", text + "=", " " + text, text + "\n", text + "." + text, text.replace(".", "")):
        assert why_not(more) == "refused"
    assert why_not(text, key=b"x" * 32) == "refused"
    assert why_not("A" * 100_000) == "refused"


@given(st.text(max_size=300))
def test_noise_is_refused(text: str) -> None:
    assert why_not(text) == "refused"


@pytest.mark.parametrize(
    "change",
    [
        {"v": 1}, {"v": 3}, {"v": True}, {"v": "1"}, {"v": None}, {"aud": "dockrev"}, {"aud": ""}, {"who": ""},
        {"who": "a\nb"}, {"who": 7}, {"who": "a" * 61}, {"sid": None}, {"iat": True}, {"iat": float(NOW)},
        {"iat": "1"}, {"iat": 0}, {"iat": -1}, {"iat": NOW + 61, "exp": NOW + 999}, {"exp": NOW + passes.LONGEST + 1},
        {"exp": NOW}, {"exp": 10**30}, {"touch_at": -1}, {"touch_at": NOW + 61}, {"touch_at": None}, {"more": 1},
        {"step_up": None}, {"step_up": 0}, {"step_up": 1}, {"step_up": "true"},
    ],
)  # fmt: skip
def test_a_good_signature_under_something_odd_is_refused(change: dict[str, Any]) -> None:
    assert why_not(by_hand({**asdict(GOOD), **change})) == "refused"


def test_other_shapes_and_other_uses_of_the_key_are_refused() -> None:
    for document in ([], 1, None, "x" * 40, [asdict(GOOD)], dict.fromkeys(asdict(GOOD), 1)):
        assert why_not(by_hand(document)) == "refused"
    less = asdict(GOOD)
    del less["touch_at"]
    assert why_not(by_hand(less)) == "refused"
    assert why_not(by_hand(asdict(GOOD), context=b"")) == "refused"
    body = base64.urlsafe_b64encode(json.dumps(asdict(GOOD)).encode()).rstrip(b"=")  # the same, written otherwise
    mac = base64.urlsafe_b64encode(hmac.new(KEY, b"dockrev pass\0" + body, hashlib.sha256).digest()).rstrip(b"=")
    assert why_not(f"{body.decode()}.{mac.decode()}") == "refused"


def test_it_ends_and_is_renewed_but_not_for_ever() -> None:
    text = sign(GOOD, KEY)
    assert read(text, KEY, GOOD.exp - 1) == GOOD
    assert why_not(text, now=GOOD.exp) == "expired"
    assert why_not(text, now=NOW - passes.SKEW - 1) == "refused"
    assert read(text, KEY, NOW - passes.SKEW + 1) == GOOD
    assert renewed(GOOD, NOW + passes.RENEWED_AFTER - 1) is None
    known, now = GOOD, NOW
    for _ in range(200):
        now += passes.RENEWED_AFTER
        longer = renewed(known, now)
        if longer is None:
            break
        assert (longer.iat, longer.touch_at, longer.who) == (GOOD.iat, GOOD.touch_at, GOOD.who)
        known = read(sign(longer, KEY), KEY, now)
    assert known.exp == NOW + passes.LONGEST
    assert renewed(replace(GOOD, exp=NOW + 3600), NOW + 3000) is None, "its session is over soon"


@pytest.mark.parametrize(("asked", "here"), [(True, True), (True, False), (False, True)])
def test_a_touch_is_wanted_where_either_asks_for_one(asked: bool, here: bool) -> None:
    known = read(sign(replace(GOOD, step_up=asked, touch_at=NOW - 300), KEY), KEY, NOW)
    assert known.step_up is asked
    assert passes.wants_touch(known, NOW - 300, here=here)
    assert not passes.wants_touch(known, NOW - 301, here=here)
    assert passes.wants_touch(replace(known, touch_at=0), 0, here=here), "never is never"
    assert not passes.wants_touch(replace(known, step_up=False, touch_at=0), NOW, here=False)
    longer = renewed(known, NOW + passes.RENEWED_AFTER)
    assert longer is not None and longer.step_up is asked, "what is renewed asks for no less"


class Asking:
    """A request with these headers."""

    def __init__(self, *cookies: str, host: str = "dockrev.example", peer: str = "10.0.0.2") -> None:
        headers = [(b"host", host.encode()), *((b"cookie", cookie.encode()) for cookie in cookies)]
        self.scope = {"type": "http", "headers": headers, "client": (peer, 4000), "http_version": "1.1"}


def test_the_cookie_is_found_once_or_not_at_all() -> None:
    assert sent_in(Asking()) == ""
    assert sent_in(Asking("a=b; __Secure-dockrev_pass=x; c=d")) == "x"
    assert sent_in(Asking("dockrev_pass=x")) == "", "over plain http from elsewhere it does not count"
    assert sent_in(Asking("dockrev_pass=x", host="localhost:1", peer="127.0.0.1")) == "x"
    assert sent_in(Asking("dockrev_pass=x", host="evil.example", peer="127.0.0.1")) == ""
    assert sent_in(Asking("__Secure-dockrev_pass=x; __Secure-dockrev_pass=x")) == "x"
    assert sent_in(Asking("__Secure-dockrev_pass=; dockrev_passes=y; xdockrev_pass=z")) == ""
    one, other = "__Secure-dockrev_pass=x", "__Secure-dockrev_pass=y"
    for twice in ([f"{one}; {other}"], [one, other]):
        with pytest.raises(BadPass, match="ambiguous"):
            sent_in(Asking(*twice))
    with pytest.raises(BadPass, match="ambiguous"):
        sent_in(Asking("dockrev_pass=x; __Secure-dockrev_pass=y", host="localhost", peer="127.0.0.1"))


# ---- the key


def test_a_key_has_a_name_that_tells_nothing_of_it() -> None:
    assert key_id(KEY) == key_id(bytes(KEY)) != key_id(b"x" * 32)
    assert len(key_id(KEY)) == 8 and key_id(KEY) not in (KEY.hex()[:8], hashlib.sha256(KEY).hexdigest()[:8])


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "passes" / "supervisor.key"
    with pytest.raises(NoKey, match="no such file"):
        PassKey(path).read()
    PassKey(path).change()
    assert not path.exists(), "without passes there is nothing to change"
    made: list[bytes] = []
    together = threading.Barrier(8)

    def take() -> None:
        together.wait()
        made.append(PassKey(path).take())

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and len(set(made)) == 1 and len(made[0]) == 32
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["supervisor.key"], "no drafts stay"
    PassKey(path).change()
    changed = PassKey(path).read()
    assert changed not in made and path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_not_one_is_not_used_but_replaced_by_dockrev(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.key"
    for content in (b"", b"x" * 31, b"x" * 33):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(NoKey, match="32 bytes"):
            PassKey(path).read()
    path.write_bytes(b"x" * 32)
    path.chmod(0o644)
    with pytest.raises(NoKey, match="everybody"):
        PassKey(path).read()
    assert PassKey(path).take() != b"x" * 32
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(b"x" * 32)
    (tmp_path / "elsewhere").chmod(0o600)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NoKey):
        PassKey(path).read()
    PassKey(path).take()
    assert not path.is_symlink() and (tmp_path / "elsewhere").read_bytes() == b"x" * 32
    path.unlink()
    os.mkfifo(path)
    path.chmod(0o600)
    with pytest.raises(NoKey):
        PassKey(path).read()


def test_when_no_other_can_be_written_the_key_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = PassKey(tmp_path / "supervisor.key")
    key.take()

    def full(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("app.core.web.pass_key.os.fsync", full)
        key.change()
        assert not key.path.exists() and os.listdir(tmp_path) == []
        with pytest.raises(NoKey, match="No space"):
            key.take()
