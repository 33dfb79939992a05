"""What goes to an authenticator and what of its answers counts (WebAuthn Level 3 §7). The library is loaded with the
first ceremony, in a thread: it costs 12 MB that nobody pays who never signs in with a passkey."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.features.passkeys.keys import NewKey, Passkey
from app.features.passkeys.rules import Place, b64url, from_b64url

TIMEOUT_MS: Final = 120_000
ANSWER_LENGTH: Final = 50_000


class Unproven(Exception):
    """The answer proves nothing; the text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Options for the browser, as JSON, and the challenge in them."""

    options: dict[str, Any]
    challenge: bytes


async def ask_for_new(place: Place, owner: str, handle: bytes, known: Sequence[Passkey]) -> Asked:
    """Options for a new passkey: kept by the authenticator, which must verify its user; no attestation."""

    def make() -> Asked:
        from webauthn import generate_registration_options, options_to_json
        from webauthn.helpers import structs

        options = generate_registration_options(
            rp_id=place.rp_id,
            rp_name="Dockrev",
            user_id=handle,
            user_name=owner,
            user_display_name=owner,
            timeout=TIMEOUT_MS,
            attestation=structs.AttestationConveyancePreference.NONE,
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                require_resident_key=True,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                structs.PublicKeyCredentialDescriptor(id=from_b64url(key.credential_id)) for key in known
            ],
        )
        return Asked(json.loads(options_to_json(options)), options.challenge)

    return await asyncio.to_thread(make)


async def ask_for_known(place: Place) -> Asked:
    """Options for signing in: the authenticator says by itself which passkeys it has for this place."""

    def make() -> Asked:
        from webauthn import generate_authentication_options, options_to_json
        from webauthn.helpers.structs import UserVerificationRequirement

        options = generate_authentication_options(
            rp_id=place.rp_id, timeout=TIMEOUT_MS, user_verification=UserVerificationRequirement.REQUIRED
        )
        return Asked(json.loads(options_to_json(options)), options.challenge)

    return await asyncio.to_thread(make)


async def check_new(place: Place, challenge: bytes, handle: bytes, answer: dict[str, Any]) -> NewKey:
    """The key that an authenticator made for exactly this place and challenge. Raises Unproven."""

    def check() -> NewKey:
        from webauthn import verify_registration_response
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            made = verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=place.rp_id,
                expected_origin=place.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unproven(str(error)) from error
        return NewKey(
            credential_id=b64url(made.credential_id),
            public_key=b64url(made.credential_public_key),
            user_handle=b64url(handle),
            sign_count=made.sign_count,
            rp_id=place.rp_id,
        )

    _refuse_frames(answer)
    return await asyncio.to_thread(check)


async def check_known(place: Place, challenge: bytes, key: Passkey, answer: dict[str, Any]) -> int:
    """The counter of the authenticator that signed this challenge with this key. Raises Unproven.

    Whether the counter went back is judged by the caller: a copy is something else than a forgery.
    """

    def check() -> int:
        from webauthn import verify_authentication_response
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            done = verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=place.rp_id,
                expected_origin=place.origin,
                credential_public_key=from_b64url(key.public_key),
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unproven(str(error)) from error
        return done.new_sign_count

    _refuse_frames(answer)
    response = answer.get("response")
    if not isinstance(response, dict) or response.get("userHandle") != key.user_handle:
        raise Unproven("the answer is about another person")
    return await asyncio.to_thread(check)


def _refuse_frames(answer: dict[str, Any]) -> None:
    """No answer that was made for a page inside another site's page."""
    try:
        told = json.loads(from_b64url(answer["response"]["clientDataJSON"]))
        inside = told.get("crossOrigin", False) is not False or "topOrigin" in told
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unproven("the answer cannot be read") from error
    if inside:
        raise Unproven("the answer was made inside a page of another site")


def parse_answer(text: str) -> dict[str, Any]:
    """What a browser sends. Raises Unproven."""
    if len(text) > ANSWER_LENGTH:
        raise Unproven("the answer is too long")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unproven("the answer is no JSON") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
        raise Unproven("the answer names no passkey")
    return answer
