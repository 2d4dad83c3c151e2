"""The book as a PDF: what is missing is said, and the outline has each name once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from pypdf import PdfReader, PdfWriter

from lnqbook.book import pdf


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("1.2. 1.2. The dataThe data", "1.2. The data"),
        ("The verdictsThe verdicts", "The verdicts"),
        ("The verdicts", "The verdicts"),
        ("9.2. How much each brings", "9.2. How much each brings"),
    ],
)
def test_a_heading_is_named_once(title: str, expected: str) -> None:
    assert pdf.once(title) == expected


def test_the_outline_is_mended_and_keeps_its_places(tmp_path: Path) -> None:
    writer = PdfWriter()
    for _ in range(3):
        writer.add_blank_page(100, 100)
    chapter = writer.add_outline_item("1. A chapter", page_number=0)
    writer.add_outline_item("1.1. 1.1. A sectionA section", page_number=1, parent=chapter)
    writer.add_outline_item("The endThe end", page_number=2)
    writer.write(tmp_path / "book.pdf")
    pdf.finish(tmp_path / "book.pdf", ROOT)
    reader = PdfReader(tmp_path / "book.pdf")
    assert reader.metadata.author == "The lnqlib authors" and "Q-learning" in reader.metadata.title
    first, (section,), last = reader.outline
    assert [item.title for item in (first, section, last)] == [
        *("1. A chapter", "1.1. A section", "The end")
    ]
    assert [reader.get_destination_page_number(i) for i in (first, section, last)] == [0, 1, 2]


def test_what_is_missing_is_said_in_a_sentence(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    assert pdf.main([str(tmp_path)]) == 2
    assert "needs Chromium" in capsys.readouterr().err
    monkeypatch.setattr(pdf.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert pdf.main([str(tmp_path)]) == 2
    assert "name the book's folder" in capsys.readouterr().err


def test_a_page_is_printed_whole(tmp_path: Path) -> None:
    """A folded box is open, and the headings are the outline."""
    if not (chromium := shutil.which("chromium") or shutil.which("chromium-browser")):
        refuse = pytest.fail if "CI" in os.environ else pytest.skip
        refuse("there is no Chromium on this machine")
    page = tmp_path / "page.html"
    page.write_text(
        '<h1>One</h1><a href="#two">go</a><details><summary>More</summary>folded text</details>'
        '<h1 id="two">Two</h1>'
    )
    code = (
        f"import pathlib\nfrom lnqbook.book import pdf\npdf.printed(pathlib.Path({str(page)!r}), "
    )
    code += f"pathlib.Path({str(tmp_path / 'page.pdf')!r}), {chromium!r})"
    # a process of its own, for Playwright starts no second browser beside the other tests'
    subprocess.run([sys.executable, "-c", code], check=True)
    reader = PdfReader(tmp_path / "page.pdf")
    assert "folded text" in reader.pages[0].extract_text()
    assert [item.title for item in reader.outline] == ["One", "Two"]
