"""The doctor on this machine: Python, the configuration, the providers' keys, the data folder."""

import platform
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from api.cli.configuration import read_catalog
from api.cli.errors import CommandError, first_line
from api.cli.finding import Finding, fail, ok, warn
from shared.documents import tessdata
from shared.files.blobs import new_key
from shared.files.opening import open_blobs, place_of
from shared.settings import Settings

LEAST_PYTHON = (3, 11)
SMALL_DISK = 4
"""Times the free space below which submits are refused."""
MIB = 1024 * 1024


def python() -> Finding:
    """Judge the interpreter."""
    words = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info < LEAST_PYTHON:
        return fail("python", f"{words}: Penstock needs 3.11 or newer")
    return ok("python", words)


def configuration(settings: Settings) -> Iterator[Finding]:
    """Judge the operator's file, and whether there is anybody to ask."""
    try:
        catalog = read_catalog(settings)
    except CommandError as error:
        yield fail("configuration", str(error))
        return
    lanes = len(catalog.lanes())
    if settings.config.exists():
        yield ok("configuration", f"{settings.config} is valid: {lanes} ways to reach a model")
    else:
        yield ok("configuration", f"there is no {settings.config}: none is needed")
    vendors = sorted(settings.provider_keys)
    if vendors:
        yield ok("providers", f"keys in the environment for {', '.join(vendors)}")
    elif lanes:
        yield ok("providers", "as the configuration says")
    else:
        yield warn("providers", "no provider's key is set: only sandbox/… answers")


def scans(settings: Settings) -> Finding:
    """Judge whether text in pictures can be recognised here."""
    found = tessdata.find(settings.tessdata_dir)
    if found is not None:
        return ok("scans", f"text in pictures is recognised: {', '.join(found.languages)}")
    if settings.tessdata_dir is not None:
        return fail(
            "scans", f"{settings.tessdata_dir} (PENSTOCK_TESSDATA_DIR) has no language data"
        )
    return warn("scans", f"text in pictures is not recognised: {tessdata.INSTALL}")


async def data_folder(settings: Settings) -> AsyncIterator[Finding]:
    """Judge whether the data folder takes what has to be stored, and for how long."""
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        yield fail("data folder", f"{folder} cannot be written: {first_line(error)}")
        return
    yield _space(folder, free, settings.min_free_disk_bytes)
    yield await _blobs(settings)


def _space(folder: Path, free: int, least: int) -> Finding:
    words = f"{folder} is writable, {free // MIB:,} MiB are free"
    if free < least:
        return fail("data folder", f"{words}: submits are refused below {least // MIB:,} MiB")
    if free < SMALL_DISK * least:
        return warn("data folder", f"{words}: submits are refused below {least // MIB:,} MiB")
    return ok("data folder", words)


async def _blobs(settings: Settings) -> Finding:
    said = b"penstock doctor"
    key = new_key("doctor")
    place = place_of(settings)
    try:
        blobs = open_blobs(settings)
        await blobs.put(key, said)
        back = await blobs.get(key)
        await blobs.delete(key)
    except OSError as error:
        return fail("blob store", f"{place} does not work: {first_line(error)}")
    if back != said:
        return fail("blob store", f"{place} gives back other bytes than it was given")
    return ok("blob store", f"{place}: written, read and removed a blob")
