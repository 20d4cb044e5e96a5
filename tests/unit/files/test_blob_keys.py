"""Keys of blobs: spread over folders, and never a way out of the store."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.files import blobs
from shared.files.blobs import BlobStore, new_key

EVIL = ("", "/", "/abs", "../up", "a/../b", "a//b", "a/", ".hidden", "a/.b", "a\\b", "a\0b", "ä")


def test_new_keys_are_spread_over_folders() -> None:
    keys = {new_key("files") for _ in range(300)}

    assert len(keys) == 300
    assert len({key.split("/")[1] for key in keys}) > 50


@pytest.mark.parametrize("key", EVIL)
async def test_a_key_that_leads_elsewhere_is_refused(tmp_path: Path, key: str) -> None:
    store = BlobStore(tmp_path / "blobs")

    with pytest.raises(ValueError, match="no key"):
        await store.put(key, b"x")
    with pytest.raises(ValueError, match="no key"):
        await store.get(key)
    with pytest.raises(ValueError, match="no key"):
        await store.delete(key)


@given(st.text(alphabet="a./\\%~-_0", max_size=12))
def test_whatever_passes_stays_below_the_root(key: str) -> None:
    try:
        passed = blobs._checked(key)
    except ValueError:
        return
    root = Path("/data/blobs")
    assert (root / passed).resolve().is_relative_to(root)
    assert not {"", ".", ".."} & set(passed.split("/"))
