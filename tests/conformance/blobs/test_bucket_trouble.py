"""A bucket that is not there or does not answer is trouble with the store, never a missing blob."""

from pathlib import Path

import pytest

from shared.files.blobs import BlobStore
from shared.files.opening import open_blobs
from shared.settings import Settings
from tests.fakes.s3 import S3Double
from tests.servers import free_port


def opened(s3: S3Double, folder: Path, **changes: str) -> BlobStore:
    settings = {"data_dir": folder, **s3.settings("bucket-never-made"), **changes}
    return open_blobs(Settings.model_validate(settings))


async def refusals(blobs: BlobStore) -> list[OSError]:
    found = []
    for attempt in (blobs.get("a/b"), blobs.put("a/b", b"x"), anext(blobs.stream("a/b"))):
        with pytest.raises(OSError, match=r".") as caught:
            await attempt
        found.append(caught.value)
    return found


async def test_a_bucket_that_was_never_made(s3: S3Double, tmp_path: Path) -> None:
    errors = await refusals(opened(s3, tmp_path))

    assert not any(isinstance(error, FileNotFoundError) for error in errors)
    assert {str(error) for error in errors} == {"the object store knows no such bucket"}


async def test_a_service_that_does_not_answer(s3: S3Double, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"

    errors = await refusals(opened(s3, tmp_path, s3_endpoint=nobody))

    assert not any(isinstance(error, FileNotFoundError) for error in errors)
    assert all("\n" not in str(error) for error in errors)


@pytest.mark.parametrize("url", ["gs://bucket", "s3://", "s3:///prefix", "/a/folder", "bucket"])
def test_what_names_no_bucket_is_refused_by_the_settings(url: str) -> None:
    with pytest.raises(ValueError, match="blob_url"):
        Settings(blob_url=url)
