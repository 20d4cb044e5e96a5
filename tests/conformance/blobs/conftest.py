"""The same blob store three times: on the disk, in memory, and in a bucket of an S3 double."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from shared.files.blobs import BlobStore
from shared.files.opening import open_blobs
from shared.settings import Settings
from tests.fakes.s3 import S3Double


@dataclass(frozen=True)
class Subject:
    """A store, and a look behind it."""

    blobs: BlobStore
    folder: Path
    s3: S3Double | None = None
    bucket: str = ""

    async def remains(self) -> int:
        """Count what is there of whole and of half-written blobs."""
        whole = sum([len(page) async for page in self.blobs.pages()])
        halves = sum(each.is_file() and "#" in each.name for each in self.folder.rglob("*"))
        return whole + halves + (self.s3.unfinished(self.bucket) if self.s3 else 0)


@pytest.fixture(params=["disk", "memory", "s3"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    """An empty store of each kind."""
    root = tmp_path / "data" / "blobs"
    if request.param == "disk":
        return Subject(BlobStore(root), root)
    if request.param == "memory":
        return Subject(BlobStore(root, store=MemoryStore()), root)
    s3: S3Double = request.getfixturevalue("s3")
    bucket = s3.make_bucket()
    settings = Settings.model_validate(
        {"data_dir": tmp_path / "data", **s3.settings(bucket, "pen/stock")}
    )
    return Subject(open_blobs(settings), root, s3, bucket)


@pytest.fixture
def blobs(subject: Subject) -> BlobStore:
    """The store alone."""
    return subject.blobs
