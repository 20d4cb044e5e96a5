"""Every setting, from the environment (`PENSTOCK_…`); built in entry points only, then passed down."""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All durations are in seconds, all sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix="PENSTOCK_", extra="ignore")

    # where things are
    config: Path = Path("penstock.toml")
    database_url: str = ""
    redis_url: str = "redis://127.0.0.1:6379/0"
    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = Path("var")

    # secrets
    admin_key: SecretStr | None = None
    secret_key: SecretStr | None = None

    # what a submit may be
    max_body_bytes: int = 32 * 1024 * 1024
    max_file_bytes: int = 1024 * 1024 * 1024
    max_batch_lines: int = 1_000_000
    max_archive_entries: int = Field(default=50_000, ge=1)
    max_archive_bytes: int = Field(default=4 * 1024**3, ge=1)
    inline_bytes: int = 64 * 1024
    max_queued_jobs_per_tenant: int = 1_000_000
    max_queued_bytes_per_tenant: int = 4 * 1024**3
    max_queued_tokens_per_tenant: int = 10_000_000_000
    max_queued_jobs: int = 2_000_000
    max_queued_bytes: int = 16 * 1024**3
    min_free_disk_bytes: int = 256 * 1024 * 1024

    # where blobs are; empty: in the data folder
    blob_url: str = Field(default="", pattern=r"^$|^s3://[A-Za-z0-9._-]+(/[A-Za-z0-9._/-]*)?$")
    s3_endpoint: str = ""
    s3_region: str = ""
    s3_access_key_id: SecretStr | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_virtual_host: bool = False

    # for how long things are kept
    result_retention_s: float = Field(default=30 * 24 * 3600, gt=0)
    orphan_age_s: float = Field(default=24 * 3600, ge=3600)
    idempotency_ttl_s: float = 24 * 3600
    default_lifetime_s: float = 24 * 3600
    max_lifetime_s: float = 7 * 24 * 3600

    # answers now
    sync_timeout_s: float = 600
    on_disconnect: Literal["cancel", "continue"] = "cancel"

    # event streams, of one API process
    deltas_kept_s: float = 600
    sse_ping_s: float = 15
    sse_life_s: float = 600
    sse_send_timeout_s: float = 30
    max_sse_clients: int = 5000
    max_sse_clients_per_key: int = 2500

    # leases and the scheduler
    lease_s: float = 60
    renew_s: float = 15
    sweep_s: float = 2
    tick_s: float = 0.25
    leader_s: float = 10
    wakeup_s: float = 5
    bulk_ages_s: float = 600
    direct_jobs_per_tenant: int = 32
    quarantine_after: int = 3

    # workers
    max_in_flight: int = 2048
    interactive_reserve: float = 0.1
    slice_size: int = 64
    drain_s: float = 25
    watchdog_s: float = 60

    # calls
    connect_timeout_s: float = 10
    idle_read_timeout_s: float = 120
    attempt_timeout_s: float = 600
    backoff_base_s: float = 1
    backoff_cap_s: float = 60
    max_response_bytes: int = 20 * 1024 * 1024

    # a folder with tiktoken's ranks; without one tokens are estimated
    tiktoken_cache_dir: Path | None = None

    # documents
    extraction_children: int = Field(default=2, ge=1)
    extraction_timeout_s: float = 60
    extraction_memory_bytes: int = 1536 * 1024 * 1024
    max_document_bytes: int = 50 * 1024 * 1024
    max_document_chars: int = Field(default=400_000, ge=1000)
    max_document_chunks: int = Field(default=100, ge=1)
    document_calls_at_once: int = Field(default=4, ge=1)
    max_document_images: int = Field(default=20, ge=1)
    tessdata_dir: Path | None = None

    # webhooks
    webhook_allow_private: bool = False
    webhook_timeout_s: float = 15
    webhook_schedule_s: tuple[float, ...] = (5, 300, 1800, 7200, 18_000, 36_000, 50_400)
    webhook_rest_s: float = 60
    webhook_at_once: int = Field(default=5, ge=1)
    webhook_log_s: float = 30 * 24 * 3600
    webhook_disable_after_s: float = 5 * 24 * 3600

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    # names one point of shared/failpoints.py; the fault tests set it
    failpoint: str = ""

    # providers whose key alone is enough to use them
    provider_keys: dict[str, SecretStr] = Field(default_factory=dict, exclude=True)

    @model_validator(mode="after")
    def _fill_from_environment(self) -> Self:
        self.data_dir = self.data_dir.absolute()
        if not self.database_url:
            self.database_url = f"sqlite+aiosqlite:///{self.data_dir / 'penstock.db'}"
        for vendor in ("openai", "anthropic", "gemini", "mistral"):
            if value := os.environ.get(f"{vendor.upper()}_API_KEY"):
                self.provider_keys.setdefault(vendor, SecretStr(value))
        return self


def read_key(reference: str) -> str:
    """Resolve a provider key of the config file: `env:NAME` or the key itself.

    Raises:
        ValueError: the environment variable is not set.
    """
    if not reference.startswith("env:"):
        return reference
    name = reference.removeprefix("env:")
    # A secret that was read from a file often ends with its line break.
    value = os.environ.get(name, "").strip()
    if not value:
        message = f"the provider key {reference} names an environment variable that is not set"
        raise ValueError(message)
    return value


def use_token_ranks(folder: Path) -> None:
    """Tell tiktoken where its ranks are: it listens to nothing but the environment."""
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)


def keep_litellm_offline() -> None:
    """Have litellm call nobody but providers, which it would at its import (newer prices) and for images.

    A client may name any address for an image: one within the operator's network is not for it to ask.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("MAX_IMAGE_URL_DOWNLOAD_SIZE_MB", "0")


def child_environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with changes, for a process that it starts."""
    return {**os.environ, **changes}
