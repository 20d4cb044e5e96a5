"""A double of S3 on the loopback interface: moto, in a process of its own."""

import contextlib
import itertools
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from tests.servers import free_port

STARTS_WITHIN_S = 60
REGION = "us-east-1"


class S3Double:
    """Started with `with`; what it keeps is gone when it ends."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._log = folder / "s3.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._buckets = itertools.count(1)
        self._http = build_opener(ProxyHandler({}))

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, or return at once when it runs."""
        if self._process is not None:
            return
        arguments = ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments], stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The double of S3 did not start: {self._log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; all that it kept is forgotten."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def make_bucket(self, name: str | None = None) -> str:
        """Make a bucket and return its name."""
        made = name or f"bucket-{next(self._buckets)}"
        self._ask("PUT", f"/{made}")
        return made

    def unfinished(self, bucket: str) -> int:
        """Count the uploads in parts that were neither completed nor aborted."""
        return self._ask("GET", f"/{bucket}?uploads").count(b"<UploadId>")

    def settings(self, bucket: str, prefix: str = "") -> dict[str, str]:
        """Return the settings, by their names, of a store in that bucket."""
        return {
            "blob_url": f"s3://{bucket}/{prefix}",
            "s3_endpoint": self.url,
            "s3_region": REGION,
            "s3_access_key_id": "test",
            "s3_secret_access_key": "test",
        }

    def environment(self, bucket: str, prefix: str = "") -> dict[str, str]:
        """Return the same as environment variables."""
        settings = self.settings(bucket, prefix)
        return {f"PENSTOCK_{name.upper()}": value for name, value in settings.items()}

    def _ask(self, method: str, path: str) -> bytes:
        with self._http.open(Request(f"{self.url}{path}", method=method), timeout=10) as answer:
            return bytes(answer.read())

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            self._ask("GET", "/moto-api/")
            return True
        return False
