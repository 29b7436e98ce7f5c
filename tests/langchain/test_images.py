"""Pictures and texts in one space: by the methods that LangChain has no word for, and by the one that stores call."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from langchain_openrouter_embeddings import OpenRouterEmbeddings
from openrouter_embeddings import ConfigurationError, Content, EmbeddingError, ImagePart, InputError

Make = Callable[..., OpenRouterEmbeddings]

SEES = "google/gemini-embedding-2"
COLOURS = {"red": (200, 30, 30), "green": (40, 150, 60), "blue": (120, 180, 235)}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One picture of each colour."""
    for name, colour in COLOURS.items():
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
    return {name: tmp_path / f"{name}.png" for name in COLOURS}


@pytest.fixture(params=["sync", "async"])
def embed(request: pytest.FixtureRequest) -> Callable[..., list[list[float]]]:
    """Call a method, once in each colour."""

    def run(model: OpenRouterEmbeddings, method: str, *args: Any, **options: Any) -> list[list[float]]:
        if request.param == "sync":
            return getattr(model, method)(*args, **options)
        return asyncio.run(getattr(model, f"a{method}")(*args, **options))

    return run


def test_the_picture_of_the_named_colour_is_nearest(make: Make, embed: Any, files: dict[str, Path]):
    model = make(model=SEES, dimensions=None)
    pictures = np.array(embed(model, "embed_images", list(files.values())))
    for position, words in enumerate(["a red car", "green grass", "blue sky"]):
        assert (pictures @ np.array(model.embed_query(words))).argmax() == position


def test_a_picture_may_be_given_in_any_way(make: Make, embed: Any, files: dict[str, Path]):
    data = files["red"].read_bytes()
    part = ImagePart.from_bytes(data, "image/png")
    rows = embed(
        make(model=SEES, dimensions=128),
        "embed_images",
        [files["red"], str(files["red"]), data, io.BytesIO(data), part.url, part],
    )
    assert all(row == rows[0] for row in rows)
    assert make(model=SEES, dimensions=128).embed_image(uris=[str(files["red"])]) == rows[:1]
    content = embed(make(model=SEES, dimensions=128), "embed_content", ["a text", Content.of("a car", part)])
    assert len(content) == 2
    assert content[1] != rows[0]


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP"])
def test_bytes_say_what_picture_they_are(kind: str):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    assert ImagePart.of(file.getvalue()).url.startswith(f"data:image/{kind.lower()};base64,")


@pytest.mark.parametrize("one", ["car.png", b"data", Path("car.png"), io.BytesIO(b"data")])
def test_one_picture_in_place_of_a_list_is_named_with_the_method(make: Make, embed: Any, gateway: Any, one: Any):
    """Iterating it would embed its letters."""
    with pytest.raises(InputError, match=r"Pictures came as one .*embed_images takes a list; wrap it"):
        embed(make(model=SEES), "embed_images", one)
    with pytest.raises(InputError, match=r"embed_image takes a list"):
        make(model=SEES).embed_image("car.png")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^a?embed_images: Input 0: "):
        embed(make(model=SEES), "embed_images", [b"no picture"])
    assert gateway.embedding_requests() == []


@pytest.mark.parametrize("method", ["embed_content", "embed_images", "embed_query", "embed_documents"])
def test_a_keyword_of_other_classes_is_answered_by_every_method(make: Make, embed: Any, gateway: Any, method: str):
    with pytest.raises(ConfigurationError, match=r"chunk_size= is no keyword of a call\. Pass batch_size="):
        embed(make(), method, ["a"], chunk_size=5)
    assert gateway.embedding_requests() == []


@pytest.mark.parametrize("wrong", [b"no picture", "http://example.org/a.png", b""])
def test_what_is_no_picture_is_refused_before_any_request(make: Make, gateway: Any, wrong: Any):
    with pytest.raises(InputError):
        make(model=SEES, dimensions=128).embed_images([wrong])
    with pytest.raises(OSError, match="nowhere"):
        make(model=SEES, dimensions=128).embed_images(["nowhere.png"])
    assert gateway.embedding_requests() == []


def test_a_model_that_reads_only_says_so(make: Make, embed: Any, files: dict[str, Path]):
    with pytest.raises(EmbeddingError):
        embed(make(model="openai/text-embedding-3-small"), "embed_images", [files["red"]])
