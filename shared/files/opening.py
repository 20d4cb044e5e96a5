"""Which blob store the settings name: the data folder's, or a bucket of an S3-compatible service."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from obstore.store import S3Store
from pydantic import SecretStr

from shared.files.blobs import BlobStore
from shared.settings import Settings

CONNECT_S, SILENT_S = 5, 30
"""A request may take long: a gigabyte goes through one. That nothing comes any more shows sooner."""
LONGEST = timedelta(hours=6)
RETRIES, RETRY_S = 5, 30


def open_blobs(settings: Settings) -> BlobStore:
    """Open the store; it need not answer yet."""
    root = settings.data_dir / "blobs"
    if not settings.blob_url:
        return BlobStore(root)
    return BlobStore(root, store=_bucket(settings))


def place_of(settings: Settings) -> str:
    """Say in words where blobs are."""
    return settings.blob_url or str(settings.data_dir / "blobs")


def _bucket(settings: Settings) -> S3Store:
    url = urlsplit(settings.blob_url)
    given: dict[str, Any] = {
        "endpoint": settings.s3_endpoint,
        "region": settings.s3_region,
        "access_key_id": _plain(settings.s3_access_key_id),
        "secret_access_key": _plain(settings.s3_secret_access_key),
        "virtual_hosted_style_request": settings.s3_virtual_host or None,
    }
    # What is not given comes from the usual AWS_… variables, or from the machine's role.
    config = {name: value for name, value in given.items() if value}
    return S3Store(
        url.netloc,
        prefix=url.path.strip("/") or None,
        client_options={
            "allow_http": settings.s3_endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "read_timeout": timedelta(seconds=SILENT_S),
            "timeout": LONGEST,
        },
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_S)},
        **config,
    )


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
