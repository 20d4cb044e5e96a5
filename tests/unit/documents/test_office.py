import io
import zipfile

from shared.documents.office import margins

HEADER = """<w:hdr><w:p><w:r><w:t>Acme &amp; Co</w:t><w:tab/><w:t xml:space="preserve">Leeds</w:t>
</w:r></w:p><w:p/><w:p w:rsid="1"><w:r><w:t>Acme &amp; Co</w:t></w:r></w:p></w:hdr>"""


def docx(**parts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, xml in parts.items():
            target.writestr(f"word/{name}.xml", xml)
    return out.getvalue()


def test_letterhead_and_footer_are_read_each_line_once() -> None:
    footer = "<w:ftr><w:p><w:r><w:t>VAT 123</w:t></w:r></w:p></w:ftr>"

    assert margins(docx(header1=HEADER, header2=HEADER, footer1=footer)) == (
        "Acme & Co Leeds\nAcme & Co",
        "VAT 123",
    )


def test_a_file_without_margins_or_damaged_has_none() -> None:
    assert margins(docx(document="<w:p/>")) == ("", "")
    assert margins(b"PK\x03\x04 no archive") == ("", "")
