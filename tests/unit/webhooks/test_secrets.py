"""Secrets are unique, in the form that clients' libraries want, and sealed under the server's key."""

from base64 import b64decode

import pytest

from shared.webhooks.secrets import SecretBox, SecretUnreadable, hint, new_secret

KEY = b"a server's secret key"


def test_a_secret_is_padded_standard_base64_of_32_bytes() -> None:
    whsec = new_secret()
    assert whsec.startswith("whsec_")
    assert len(b64decode(whsec.removeprefix("whsec_"), validate=True)) == 32
    assert new_secret() != whsec


def test_what_is_sealed_opens_and_shows_nothing() -> None:
    whsec = new_secret()
    sealed = SecretBox(KEY).seal(whsec)
    assert SecretBox(KEY).open(sealed) == whsec
    assert whsec.encode() not in sealed
    assert b64decode(whsec.removeprefix("whsec_")) not in sealed
    assert SecretBox(KEY).seal(whsec) != sealed


def test_another_server_key_does_not_open_it() -> None:
    sealed = SecretBox(KEY).seal(new_secret())
    with pytest.raises(SecretUnreadable, match="PENSTOCK_SECRET_KEY"):
        SecretBox(b"another key").open(sealed)
    assert not SecretBox(b"another key").opens(sealed)
    assert SecretBox(KEY).opens(sealed)


def test_every_changed_byte_is_noticed() -> None:
    box = SecretBox(KEY)
    sealed = box.seal(new_secret())
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SecretUnreadable):
            box.open(bytes(changed))
    for length in range(len(sealed)):
        with pytest.raises(SecretUnreadable):
            box.open(sealed[:length])


def test_a_hint_tells_secrets_apart_and_gives_four_characters_away() -> None:
    whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw0123456789A="
    assert hint(whsec) == "whsec_…789A"
