"""Every sample of the repository, read by a real child, and what the sandbox makes of it."""

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from shared.documents.extract import ErrorCode, ExtractionError, Extractor
from shared.documents.schema import check_schema, is_strict, problems
from shared.providers.sandbox_answers import answer
from tests.integration.documents.files_made import FILES, SAMPLES

SCHEMA: dict[str, JsonValue] = json.loads((SAMPLES / "schema.json").read_text(encoding="utf-8"))
SUFFIXES = {".pdf", ".docx", ".xlsx", ".pptx", ".html", ".eml", ".csv", ".md", ".txt"}
FIELDS = ("document_type", "title", "sender", "recipient", "date", "reference", "currency",
          "total_amount")  # fmt: skip
GOLDEN: dict[str, tuple[JsonValue, ...]] = {
    "invoice-coffee.pdf": ("invoice", "Invoice", "Tidewater Coffee Roasters Ltd",
        "Marram & Sons Cafe", "2026-03-03", "TC-2026-0187", "GBP", 580.2),
    "invoice-courier.eml": ("invoice", "Invoice VR-5521 – courier runs in May 2026",
        "Vélo Rapide Courier <billing@velorapide.example>",
        "Atelier Pommier <accounts@atelierpommier.example>",
        "2026-06-01", "VR-5521", "EUR", 143.2),
    "invoice-hosting.html": ("invoice", "Invoice FH-2026-1190", "Fernhill Hosting Inc.",
        "Pebble Street Bakery", "2026-06-30", "FH-2026-1190", "USD", 284.99),
    "invoice-posters.docx": ("invoice", "Rechnung", "Druckerei Lindenhof GmbH",
        "Stadttheater Ebersfeld", "2026-04-17", "2026/0412", "EUR", 873.46),
    "invoice-rosewater.docx": ("invoice", "Фактура", "Розова долина ЕООД",
        "Аптека Здравец ООД", "2026-06-09", "0000004173", "EUR", 412.8),
    "invoice-solar.xlsx": ("invoice", "Invoice", "Helio Parts Oy",
        "Brightfield Farm Cooperative", "2026-02-19", "HP-7731", "USD", 2580),
    "invoice-stationery.csv": ("invoice", None, "Quill & Ledger",
        "Ashcombe Primary School", "2026-04-08", "IN-3308", "GBP", 235),
    "letter-apprentice.docx": ("letter", "Your apprenticeship with us",
        "Oakridge Joinery, Workshop Office", "Miss Imogen Farrell",
        "2026-05-11", "OJ/APP/26-09", None, None),
    "letter-cancellation.txt": ("letter", "résiliation de mon abonnement",
        "Mme Hélène Brémond", "Salle de sport Énergie Côte d'Émeraude",
        "2026-02-02", "contrat n° 88-2214", "EUR", 45),
    "letter-hindi.txt": ("letter", "पुस्तक मेले का निमंत्रण", "नवज्योति पुस्तकालय, जयपुर",
        "श्रीमती सुनीता शर्मा", "2026-07-14", "PUS/2026/57", "INR", 350),
    "letter-kyoto.pdf": ("letter", "ご予約の確認", "鴨川旅館 予約係",
        "田中美咲様", "2026-05-21", "KY-2026-33", "JPY", 48600),
    "letter-tenancy.txt": ("letter", "Renewal of your tenancy at 3 Mill Cottages",
        "Cowslip Lettings, 12 Market Row, Ashcombe", "Mr Tobias Wren",
        "2026-01-19", "CL/88/TW", "GBP", None),
    "letter-thessaloniki.html": ("letter", "Πρόσκληση σε έκθεση κεραμικής",
        "Εργαστήριο Πηλού «Άνεμος», Θεσσαλονίκη", "κα Δάφνη Λαμπρίδη",
        "2026-05-22", "ΕΠ-214", None, None),
    "report-library.md": ("report", "Ashcombe Library: the year 2025",
        "Ashcombe Library Committee", "Friends of Ashcombe Library",
        "2026-02-02", "AL-2025", "GBP", 3940.75),
    "report-river.pdf": ("report", "River Wend: water quality, spring 2026",
        "Wend Valley Rivers Trust", "Ashcombe Parish Council",
        "2026-05-28", "WQ-26-014", "GBP", 1625.5),
    "report-tram.pptx": ("report", "Tram line 4: first year", "Ebersfeld Transport Office",
        "City Council of Ebersfeld", "2026-01-15", "TR-2026-02", None, None),
}  # fmt: skip
BROKEN = "broken-delivery-note.pdf"


async def text_of(extractor: Extractor, path: Path) -> str:
    found = await extractor.extract(path, filename=path.name, content_type=None)
    return found.text


async def refusal(extractor: Extractor, path: Path) -> ExtractionError:
    with pytest.raises(ExtractionError) as caught:
        await extractor.extract(path, filename=path.name, content_type=None)
    return caught.value


def test_the_list_here_is_the_folder() -> None:
    names = {path.name for path in SAMPLES.iterdir() if path.suffix in SUFFIXES}

    assert names - {"instructions.txt"} == {*GOLDEN, BROKEN}
    assert max((SAMPLES / name).stat().st_size for name in names) < 30_000


def test_the_schema_can_be_enforced_by_a_provider() -> None:
    check_schema(SCHEMA)

    assert is_strict(SCHEMA)


@pytest.mark.parametrize("name", GOLDEN)
async def test_each_sample_says_what_it_says(extractor: Extractor, name: str) -> None:
    text = await text_of(extractor, SAMPLES / name)

    value = answer(SCHEMA, text)

    assert problems(SCHEMA, value) == []
    assert isinstance(value, dict)
    assert tuple(value[field] for field in FIELDS) == GOLDEN[name]


async def test_tables_arrive_whole_over_pages_and_formats(extractor: Extractor) -> None:
    river = await extractor.extract(
        SAMPLES / "report-river.pdf", filename="r.pdf", content_type="application/pdf"
    )
    posters = await text_of(extractor, SAMPLES / "invoice-posters.docx")
    solar = await text_of(extractor, SAMPLES / "invoice-solar.xlsx")

    assert river.pages == 2
    assert river.warnings == ()
    assert "| Church Bridge | 7.5 | 0.05 | 95 |" in river.text
    assert "| Mill Weir | 7.9 | 0.21 | 81 |" in river.text
    assert "| Faltblätter A4 | 1.000 | 0,35 | 350,00 |" in posters
    assert "| 2 of 2 | 8.2 | HX-100-2232 |" in solar


async def test_lines_of_a_form_stay_lines(extractor: Extractor) -> None:
    assert "\nInvoice number: TC-2026-0187\nInvoice date: 3 March 2026\n" in await text_of(
        extractor, SAMPLES / "invoice-coffee.pdf"
    )


async def test_attachments_of_a_mail_are_read(extractor: Extractor) -> None:
    text = await text_of(extractor, SAMPLES / "invoice-courier.eml")

    assert "## Attachment: runs.csv" in text
    assert "| 2026-05-06 | Old Harbour | 5.40 |" in text


async def test_a_guessed_encoding_is_told(extractor: Extractor) -> None:
    path = SAMPLES / "letter-cancellation.txt"
    found = await extractor.extract(path, filename=path.name, content_type="text/plain")

    assert "Windows-1252" in found.warnings[0]
    assert found.mime_type == "text/plain"


async def test_the_broken_sample_fails_with_its_reason(extractor: Extractor) -> None:
    error = await refusal(extractor, SAMPLES / BROKEN)

    assert error.code is ErrorCode.BROKEN
    assert "cut off" in error.message


async def test_an_encrypted_pdf_says_so(extractor: Extractor) -> None:
    error = await refusal(extractor, FILES / "encrypted.pdf")

    assert error.code is ErrorCode.ENCRYPTED
    assert "password" in error.message


async def test_a_scan_says_that_pictures_are_not_read(extractor: Extractor) -> None:
    error = await refusal(extractor, FILES / "scanned.pdf")

    assert error.code is ErrorCode.EMPTY
    assert "scan" in error.message
