"""Finding the data that recognise text in pictures."""

from pathlib import Path

from shared.documents.tessdata import find


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{name}.traineddata").touch()
    return folder


def test_debians_newest_version_is_taken_with_all_its_languages(tmp_path: Path) -> None:
    put(tmp_path / "tesseract-ocr" / "4.00" / "tessdata", "eng")
    newest = put(tmp_path / "tesseract-ocr" / "5" / "tessdata", "osd", "deu", "eng")
    found = find(None, [tmp_path / "absent", tmp_path])

    assert found is not None
    assert (found.folder, found.languages) == (newest, ("deu", "eng"))


def test_data_without_a_language_are_none(tmp_path: Path) -> None:
    put(tmp_path / "tessdata", "osd")

    assert find(None, [tmp_path]) is None


def test_the_folder_that_is_given_is_the_only_one(tmp_path: Path) -> None:
    put(tmp_path / "tessdata", "eng")
    own = put(tmp_path / "own", "fra")

    assert find(tmp_path / "empty", [tmp_path]) is None
    found = find(own, [tmp_path])
    assert found is not None
    assert found.languages == ("fra",)
