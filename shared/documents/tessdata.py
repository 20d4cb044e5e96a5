"""Whether this machine can read text in pictures: Tesseract's language data, as Debian installs it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

USUAL_ROOTS = (Path("/usr/share"), Path("/usr/local/share"), Path("/opt/homebrew/share"))
NOT_LANGUAGES = frozenset({"osd", "equ", "snum"})
INSTALL = (
    "install Tesseract's language data where the workers run (on Debian: apt-get install"
    " tesseract-ocr and, for each language, tesseract-ocr-deu and so on)"
)


@dataclass(frozen=True, slots=True)
class Tessdata:
    """The folder of the data, and the languages in it."""

    folder: Path
    languages: tuple[str, ...]


def find(given: Path | None, roots: Iterable[Path] = USUAL_ROOTS) -> Tessdata | None:
    """Return the data in the given folder, else in the newest of the usual ones; None without any."""
    folders = [given] if given else [folder for root in roots for folder in _folders(root)]
    for folder in folders:
        names = sorted(path.stem for path in folder.glob("*.traineddata"))
        languages = tuple(name for name in names if name not in NOT_LANGUAGES)
        if languages:
            return Tessdata(folder, languages)
    return None


def _folders(root: Path) -> list[Path]:
    versions = sorted((root / "tesseract-ocr").glob("*/tessdata"), reverse=True)
    return [*versions, root / "tessdata"]
