"""Keys as strings: minted, taken apart, never repeated."""

from shared import crypto
from shared.auth import keys

SECRET = b"s" * 32


def test_a_minted_key_reads_back_to_its_own_prefix_and_digest() -> None:
    minted = keys.mint(SECRET)

    shown = keys.read(SECRET, minted.plaintext)

    assert minted.plaintext.startswith(f"pk_{minted.prefix}_")
    assert (shown.prefix, shown.digest) == (minted.prefix, minted.digest)


def test_the_digest_is_keyed_and_tells_nothing_of_the_key() -> None:
    minted = keys.mint(SECRET)

    assert minted.digest == crypto.digest(SECRET, minted.plaintext)
    assert minted.digest != keys.read(b"another server's key" * 2, minted.plaintext).digest
    assert minted.plaintext not in repr(minted)


def test_the_secret_has_256_bits_and_no_two_keys_are_alike() -> None:
    minted = {keys.mint(SECRET).plaintext for _ in range(200)}

    secrets = {each.split("_")[2] for each in minted}
    assert len(secrets) == 200
    assert {len(each) for each in secrets} == {52}


def test_a_key_of_the_operators_own_choice_gets_a_prefix_from_its_digest() -> None:
    one, other = keys.read(SECRET, "correct horse battery"), keys.read(SECRET, "staple staple st")

    assert one.prefix.startswith("own")
    assert one.prefix != other.prefix
    assert one == keys.read(SECRET, "correct horse battery")


def test_what_only_looks_like_a_minted_key_does_not_choose_its_prefix() -> None:
    for odd in ("pk_abc_def", "pk_" + "a" * 13 + "_short", "pk_AAAAAAAAAAAAA_" + "a" * 52):
        assert keys.read(SECRET, odd).prefix.startswith("own")
