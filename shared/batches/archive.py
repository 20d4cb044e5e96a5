"""A zip file that a stranger sent: its directory, judged before anything is unpacked.

Nothing in it is ever written under its own name, and nothing is opened here but the archive.
"""

import stat
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shared.batches.envelope import LONGEST_CUSTOM_ID, Flaw
from shared.batches.reading import BadInput
from shared.settings import Settings

HIGHEST_RATIO = 200
"""Text packs 5 to 30 times, a table of equal rows 100 times; a bomb 1000 times."""
RATIO_FROM_BYTES = 10 * 1024 * 1024
"""What unpacks to less than this may be packed as tightly as it likes."""
UNIX = 3
ENCRYPTED = 0x1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_END = struct.Struct("<4s4H2LH")
_HEADER = struct.Struct("<4s24x3H12x")
_END_SIGNATURE, _HEADER_SIGNATURE = b"PK\x05\x06", b"PK\x01\x02"
_LONGEST_COMMENT = 65_535
_LONGEST_HEADER = 1024
_ZIP64_END = struct.Struct("<4s36xQ8x")
_ZIP64_SIGNATURE, _LOCATOR_SIGNATURE = b"PK\x06\x06", b"PK\x06\x07"
_LOCATOR_BYTES = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the archive; `flaw` says why it is not taken."""

    number: int
    name: str
    info: zipfile.ZipInfo
    flaw: Flaw | None

    @property
    def filename(self) -> str:
        """Its name without the folders."""
        return PurePosixPath(self.name).name


def read_directory(archive: zipfile.ZipFile, size: int, settings: Settings) -> Sequence[Entry]:
    """List the files of an archive of `size` bytes; folders and hidden files are left out.

    Raises:
        BadInput: unpacked it would be larger than it may be, or it has too many files.
    """
    files = [info for info in archive.infolist() if not info.is_dir() and not _is_hidden(info)]
    most = settings.max_archive_entries
    if len(files) > most:
        raise _too_many(most)
    unpacked = sum(info.file_size for info in files)
    if unpacked > settings.max_archive_bytes:
        message = (
            f"Unpacked, the archive would have {unpacked} bytes; the limit is"
            f" {settings.max_archive_bytes}: split it."
        )
        raise BadInput("archive_too_large", message)
    if unpacked > RATIO_FROM_BYTES and unpacked > HIGHEST_RATIO * size:
        message = (
            f"The archive unpacks to {unpacked // max(size, 1)} times its size; the limit is"
            f" {HIGHEST_RATIO}: send the files themselves."
        )
        raise BadInput("archive_too_dense", message)
    return [
        Entry(number, info.filename, info, _flaw(info, settings))
        for number, info in enumerate(files, 1)
    ]


def open_archive(path: Path, settings: Settings) -> zipfile.ZipFile:
    """Open a zip file, unless its directory alone would fill the memory.

    Raises:
        BadInput: it is no zip file, or has too many entries.
    """
    try:
        _count_entries(path, 2 * settings.max_archive_entries)
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as error:
        message = f"This is no zip file that can be read ({error})."
        raise BadInput("invalid_archive", message) from error


def _count_entries(path: Path, most: int) -> None:
    # zipfile reads the whole directory at once, and believes what it says of its own size.
    with path.open("rb") as file:
        end = file.seek(0, 2)
        tail_begins = max(0, end - _END.size - _LONGEST_COMMENT - _ZIP64_END.size - _LOCATOR_BYTES)
        file.seek(tail_begins)
        tail = file.read()
        size, directory_ends = _directory(tail)
        if size > most * _LONGEST_HEADER:
            raise _too_many(most // 2)
        file.seek(max(0, tail_begins + directory_ends - size))
        directory = file.read(size)
    place = count = 0
    while place + _HEADER.size <= len(directory):
        signature, *lengths = _HEADER.unpack_from(directory, place)
        if signature != _HEADER_SIGNATURE:
            break
        place += _HEADER.size + sum(lengths)
        count += 1
        if count > most:
            raise _too_many(most // 2)


def _directory(tail: bytes) -> tuple[int, int]:
    """Return the size of the directory, and where in the tail of the file it ends."""
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) < at + _END.size:
        message = "it has no directory"
        raise ValueError(message)
    size = _END.unpack_from(tail, at)[5]
    locator = at - _LOCATOR_BYTES
    if locator < 0 or tail[locator : locator + 4] != _LOCATOR_SIGNATURE:
        return size, at
    # Large archives say it once more, with room for larger numbers.
    record = locator - _ZIP64_END.size
    signature, size = _ZIP64_END.unpack_from(tail, record) if record >= 0 else (b"", 0)
    if signature != _ZIP64_SIGNATURE:
        message = "its directory is not where it should be"
        raise ValueError(message)
    return size, record


def _too_many(most: int) -> BadInput:
    message = f"The archive has more than {most} files: split it."
    return BadInput("too_many_files", message)


def _is_hidden(info: zipfile.ZipInfo) -> bool:
    parts = info.filename.replace("\\", "/").split("/")
    return any(
        part == "__MACOSX" or (part.startswith(".") and part not in {".", ".."}) for part in parts
    )


def _flaw(info: zipfile.ZipInfo, settings: Settings) -> Flaw | None:
    mode = info.external_attr >> 16 if info.create_system == UNIX else 0
    if _leads_out(info.filename) or (mode and stat.S_IFMT(mode) not in {0, stat.S_IFREG}):
        message = (
            f"`{_short(info.filename)}` leads out of the archive or is no plain file: pack plain"
            " files under relative names."
        )
        return Flaw("unsafe_archive_entry", message)
    if info.flag_bits & ENCRYPTED:
        message = f"`{_short(info.filename)}` is encrypted: pack it without a password."
        return Flaw("encrypted_archive_entry", message)
    if info.compress_type not in METHODS:
        message = (
            f"`{_short(info.filename)}` is packed by a method that is not known here: use Deflate."
        )
        return Flaw("unsupported_compression", message)
    return _size_flaw(info, settings)


def _size_flaw(info: zipfile.ZipInfo, settings: Settings) -> Flaw | None:
    if info.file_size > settings.max_file_bytes:
        message = (
            f"`{_short(info.filename)}` has {info.file_size} bytes; the limit is"
            f" {settings.max_file_bytes}."
        )
        return Flaw("file_too_large", message)
    dense = info.file_size > HIGHEST_RATIO * max(info.compress_size, 1)
    if dense and info.file_size > RATIO_FROM_BYTES:
        message = f"`{_short(info.filename)}` unpacks to more than {HIGHEST_RATIO} times its size."
        return Flaw("archive_too_dense", message)
    return None


def _leads_out(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    # An empty first part is an absolute path, a colon in it a drive.
    return ".." in parts or not parts[0] or ":" in parts[0] or not name.isprintable()


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_CUSTOM_ID else name[:LONGEST_CUSTOM_ID] + "…"
