"""The pair of keys by which push services know this Dockrev (VAPID, RFC 8292)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from app.adapters.notify.errors import NotConfigured


@dataclass(frozen=True, slots=True)
class VapidKeys:
    """Both base64url without padding: the public key as an uncompressed point, the private key as its number."""

    public: str
    private: str = field(repr=False)


def generate_keys() -> VapidKeys:
    """A new pair. Blocking, for a millisecond; the first call loads cryptography."""
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    number = private.private_numbers().private_value.to_bytes(32, "big")
    return VapidKeys(public=_public(private), private=_encode(number))


def public_key_of(private_key: str) -> str:
    """The public key that belongs to a private one. Raises NotConfigured when it is none."""
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        raw = base64.urlsafe_b64decode(private_key + "=" * (-len(private_key) % 4))
        if len(raw) != 32:
            raise ValueError
        return _public(ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1()))
    except (ValueError, binascii.Error) as error:
        raise NotConfigured(
            "the private VAPID key cannot be used", hint="Make a new pair of keys in the notification settings."
        ) from error


def _public(private: object) -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    assert isinstance(private, ec.EllipticCurvePrivateKey)
    point = private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return _encode(point)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
