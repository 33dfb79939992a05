"""An authenticator in software: makes passkeys and signs challenges as WebAuthn Level 3 §6 says, or wrongly on purpose.

Written for the tests with `cryptography` alone, so that what it sends is not made by the library that checks it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cbor(value: Any) -> bytes:
    """As much of RFC 8949 as attestation objects need."""
    match value:
        case int() if value >= 0:
            return _head(0, value)
        case int():
            return _head(1, -1 - value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case dict():
            return _head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    raise TypeError(type(value))


def _head(major: int, size: int) -> bytes:
    if size < 24:
        return bytes([major << 5 | size])
    return bytes([major << 5 | 24, size]) if size < 256 else bytes([major << 5 | 25]) + size.to_bytes(2, "big")


@dataclass
class Credential:
    """One passkey of it."""

    rp_id: str
    user_handle: bytes
    identifier: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    count: int = 0


@dataclass
class Authenticator:
    """Keeps passkeys. The fields are what it lies about: each test changes one of them."""

    origin: str
    counts: bool = True
    user_verified: bool = True
    rp_id: str = ""
    cross_origin: bool = False
    credentials: list[Credential] = field(default_factory=list)

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """`navigator.credentials.create`."""
        made = Credential(options["rp"]["id"], unb64(options["user"]["id"]))
        self.credentials.append(made)
        numbers = made.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(made.identifier).to_bytes(2, "big") + made.identifier + cbor(cose)
        data = self._data(made, AT) + attested
        response = {
            "clientDataJSON": b64(self._client("webauthn.create", options["challenge"])),
            "attestationObject": b64(cbor({"fmt": "none", "attStmt": {}, "authData": data})),
        }
        return self._answer(made, response)

    def get(self, options: dict[str, Any], which: int = 0) -> dict[str, Any]:
        """`navigator.credentials.get`."""
        used = self.credentials[which]
        client, data = self._client("webauthn.get", options["challenge"]), self._data(used, 0)
        signature = used.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": b64(used.user_handle),
        }
        return self._answer(used, response)

    def _client(self, kind: str, challenge: str) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin}
        return json.dumps(told).encode()

    def _data(self, credential: Credential, flags: int) -> bytes:
        if self.counts:
            credential.count += 1
        flags |= UP | (UV if self.user_verified else 0)
        rp_id = self.rp_id or credential.rp_id
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + credential.count.to_bytes(4, "big")

    @staticmethod
    def _answer(credential: Credential, response: dict[str, str]) -> dict[str, Any]:
        name = b64(credential.identifier)
        return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
