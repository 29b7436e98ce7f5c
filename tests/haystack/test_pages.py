"""Pages of PDFs as pictures: each file is opened once, and what is wrong with one of them is said of that one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from haystack import Document
from PIL import Image

from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentImageEmbedder

SEES = "google/gemini-embedding-2"
COLOURS = [(200, 30, 30), (40, 150, 60), (120, 180, 235)]

pytest.importorskip("pypdfium2")


def write_pdf(file: Path, count: int = 3) -> None:
    pages = [Image.new("RGB", (40, 40), COLOURS[number % 3]) for number in range(count)]
    pages[0].save(file, save_all=True, append_images=pages[1:])


@pytest.fixture
def make(gateway: Any, tmp_path: Path) -> Any:
    """Make an embedder of the pages below a folder."""
    write_pdf(tmp_path / "pages.pdf")

    def made(**options: Any) -> OpenRouterDocumentImageEmbedder:
        given = {"model": SEES, "root_path": tmp_path, "progress_bar": False, "raise_on_failure": False}
        return OpenRouterDocumentImageEmbedder(**{**given, **options})

    return made


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note each time that Haystack opens a PDF."""
    from haystack.components.converters.image import image_utils

    sizes: list[int] = []
    kind = image_utils.PdfDocument

    def noted(data: Any) -> Any:
        sizes.append(len(data.getbuffer()))
        return kind(data)

    monkeypatch.setattr(image_utils, "PdfDocument", noted)
    return sizes


def page(number: Any, file: str = "pages.pdf") -> Document:
    return Document(id=f"{file} {number!r}", meta={"file_path": file, "page_number": number})


def test_pages_are_found_by_words(call: Any, make: Any) -> None:
    embedder = make(image_size=(30, 30))
    found = call(embedder, documents=[page(3), page(1), page(9)])
    queries = embedder.text_embedder()
    blue, red = (document.embedding for document in found["documents"])
    for words, near, far in (("a red car", red, blue), ("blue sky", blue, red)):
        asked = queries.run(words)["embedding"]
        assert sum(map(float.__mul__, asked, near)) > sum(map(float.__mul__, asked, far))
    (cause,) = found["meta"]["failed"]
    assert (cause["positions"], "Haystack could not convert" in cause["message"]) == ([2], True)


def test_a_file_is_opened_once_for_all_its_pages(call: Any, make: Any, tmp_path: Path, opened: list[int]) -> None:
    write_pdf(tmp_path / "others.pdf", 2)
    given = [page(1), page(1, "others.pdf"), page(2), page(2, "others.pdf"), page(3), page(2)]
    found = call(make(), documents=given)
    assert [document.id for document in found["documents"]] == [document.id for document in given]
    assert len(opened) == 2
    assert found["documents"][2].embedding == found["documents"][5].embedding
    assert found["documents"][0].embedding == found["documents"][1].embedding
    assert found["documents"][0].embedding != found["documents"][2].embedding


def test_a_long_file_is_converted_in_parts(call: Any, make: Any, tmp_path: Path, opened: list[int]) -> None:
    """Haystack unpacks all pages that it is given at once: of a book that would be gigabytes."""
    write_pdf(tmp_path / "book.pdf", 70)
    found = call(make(), documents=[page(number, "book.pdf") for number in range(1, 71)])
    assert len(found["documents"]) == 70
    assert len(opened) == 3


@pytest.mark.parametrize("number", ["2", 2.0, "2.0"])
def test_a_number_may_have_been_through_a_table(call: Any, make: Any, number: Any) -> None:
    stated, second = call(make(), documents=[page(number), page(2)])["documents"]
    assert stated.embedding == second.embedding
    assert stated.meta["page_number"] == number


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (None, "a page of a PDF needs its meta['page_number']."),
        ("two", "meta['page_number'] must be a whole number, and this str is none."),
        (1.5, "meta['page_number'] must be a whole number, and this float is none."),
        (True, "meta['page_number'] must be a whole number, and this bool is none."),
        ([1], "meta['page_number'] must be a whole number, and this list is none."),
    ],
)
def test_what_is_wrong_with_a_number_is_said(call: Any, make: Any, number: Any, says: str) -> None:
    found = call(make(), documents=[page(1), page(number)])
    assert len(found["documents"]) == 1
    assert found["meta"]["failed"][0]["message"] == f"Input 1 cannot be embedded: {says}"


def test_a_broken_file_costs_no_other(call: Any, make: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 no more")
    found = call(make(), documents=[page(1, "broken.pdf"), page(1), page(2, "broken.pdf"), page(2)])
    assert [document.id for document in found["documents"]] == ["pages.pdf 1", "pages.pdf 2"]
    (cause,) = found["meta"]["failed"]
    assert cause["positions"] == [0, 2]


WITHOUT = """
import sys
sys.modules["PIL"] = sys.modules["pypdfium2"] = None
from haystack import Document
from haystack.dataclasses import ByteStream
from haystack_integrations.components.embedders.openrouter_embeddings import OpenRouterDocumentImageEmbedder
from openrouter_embeddings import ConfigurationError
page = Document(meta={"file_path": sys.argv[1], "page_number": 1})
picture = Document(blob=ByteStream(b"\\x89PNG", mime_type="image/png"))
for document, size in ((page, None), (picture, (9, 9))):
    embedder = OpenRouterDocumentImageEmbedder(model=sys.argv[2], image_size=size, raise_on_failure=False)
    try:
        embedder.run([document])
    except ConfigurationError as error:
        print(error)
"""


def test_a_package_that_is_missing_is_named_before_any_request(make: Any, gateway: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "pages.pdf"), SEES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "A page of a PDF needs pypdfium2 and pillow: pip install pypdfium2 pillow.",
        "image_size needs pillow: pip install pillow.",
    ], done.stderr
    assert gateway.requests() == []
