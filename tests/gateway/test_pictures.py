"""Pictures: colours and their layout, near the texts that name them."""

from __future__ import annotations

import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image

from openrouter_embeddings_gateway import pictures
from openrouter_embeddings_gateway.errors import Refused
from openrouter_embeddings_gateway.model import hashed_model, load_model
from openrouter_embeddings_gateway.pictures import Pictures, decode

SEES = "google/gemini-embedding-2"
READS = "openai/text-embedding-3-small"
COLOURS = {
    "red": (200, 30, 30),
    "orange": (240, 140, 30),
    "yellow": (240, 220, 40),
    "green": (40, 150, 60),
    "blue": (120, 180, 235),
    "purple": (120, 40, 150),
    "pink": (250, 150, 190),
    "brown": (110, 70, 30),
    "black": (10, 10, 10),
    "white": (250, 250, 250),
    "gray": (128, 128, 128),
}
TEXTS = {
    "red": "a red car",
    "blue": "blue sky",
    "green": "green grass",
    "yellow": "a yellow banana",
    "black": "a black cat",
}


def url(pixels, kind="PNG", **options):
    """Return pixels as a data URL."""
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, kind, **options)
    return data_url(file.getvalue(), kind)


def data_url(data, kind="PNG"):
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode()}"


def plain(colour, side=40):
    return np.tile(np.array(colour), (side, side, 1))


def halves(left, right):
    return np.concatenate([plain(left), plain(right)], axis=1)


@pytest.fixture
def ask(embeddings_gateway):
    with httpx.Client(
        base_url=embeddings_gateway.base_url, headers={"Authorization": "Bearer k"}, trust_env=False
    ) as client:

        def post(*contents, model=SEES):
            """Embed contents, each a list of texts and (type, data) pairs."""
            return client.post("/embeddings", json={"model": model, "input": [content(parts) for parts in contents]})

        yield post


def content(parts):
    names = {"image_url": "url"}
    return {
        "content": [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": part[0], part[0]: {names.get(part[0], "data"): part[1]}}
            for part in parts
        ]
    }


def image(pixels, *arguments, **options):
    return ("image_url", url(pixels, *arguments, **options))


def rows(answer):
    assert answer.status_code == 200, answer.text
    return np.array([row["embedding"] for row in answer.json()["data"]], dtype=np.float32)


@pytest.mark.parametrize("model", [load_model(), hashed_model()], ids=lambda model: model.name)
def test_a_picture_of_a_colour_is_nearest_to_the_colours_name(model):
    seen = np.stack([Pictures(model).embed(url(plain(colour))) for colour in COLOURS.values()])
    names = model.embed(model.tokenize(list(COLOURS)))
    assert (seen @ names.T).argmax(axis=1).tolist() == list(range(len(COLOURS)))


def test_texts_that_name_a_colour_are_near_pictures_of_it(ask):
    found = rows(ask(*([text] for text in TEXTS.values()), *([image(plain(COLOURS[name]))] for name in TEXTS)))
    texts, seen = found[: len(TEXTS)], found[len(TEXTS) :]
    similarities = texts @ seen.T
    assert similarities.argmax(axis=1).tolist() == similarities.argmax(axis=0).tolist() == list(range(len(TEXTS)))
    assert similarities.diagonal().min() > 0.4


def test_equal_pictures_have_equal_embeddings_whatever_the_file(ask):
    picture = halves(COLOURS["red"], COLOURS["white"])
    found = rows(
        ask(
            [image(picture)],
            [image(picture, compress_level=0)],
            [image(picture, "WEBP", lossless=True)],
            [image(picture, "JPEG", quality=90)],
        )
    )
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()
    assert 0.999 < found[0] @ found[3] < 1.0001


def test_the_layout_of_a_picture_counts_less_than_its_colours(ask):
    red, blue = COLOURS["red"], COLOURS["blue"]
    one, mirrored, other = rows(
        ask([image(halves(red, blue))], [image(halves(blue, red))], [image(halves(red, COLOURS["green"]))])
    )
    assert 0.9 < one @ mirrored < 0.999
    assert one @ other < one @ mirrored


def test_what_is_transparent_is_white():
    clear = np.zeros((8, 8, 4))
    assert (decode(url(clear)) == 1).all()


def test_a_text_beside_a_picture_counts_too(ask):
    red = image(plain(COLOURS["red"]))
    answer = ask(["a cat", red], ["a dog", red], [red], ["a cat"])
    both, with_dog, alone, text = rows(answer)
    assert both @ alone > 0.5
    assert both @ text > 0.5
    assert (both != with_dog).any()
    assert answer.json()["usage"]["prompt_tokens_details"]["image_tokens"] == 3 * 258


BROKEN = {
    "https": ("https://example.org/a.png", "image_download_failed", "fetches nothing"),
    "no_picture": (data_url(b"not a picture"), "unsupported_image_format", "expected one of PNG, JPEG, WEBP, GIF"),
    "cut": (data_url(base64.b64decode(url(plain((1, 2, 3))).partition(",")[2])[:-30]), "invalid_image", "decoded"),
    "no_base64": ("data:image/png;base64,!!!", "invalid_image", "the data cannot be decoded"),
    "another_format": (url(plain((1, 2, 3)), "BMP"), "unsupported_image_format", "expected one of"),
}


@pytest.mark.parametrize(("link", "error_type", "says"), BROKEN.values(), ids=BROKEN)
def test_a_picture_that_cannot_be_read_is_refused_unless_lenient(embeddings_gateway, ask, link, error_type, says):
    answer = ask([("image_url", link)])
    assert answer.status_code == 400
    assert answer.json()["error"]["metadata"]["error_type"] == error_type
    assert says in answer.json()["error"]["message"]
    embeddings_gateway.configure(lenient=True)
    assert np.linalg.norm(rows(ask([("image_url", link)]))) == pytest.approx(1)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(pictures, "_MOST_PIXELS", 1599)
    with pytest.raises(Refused) as caught:
        decode(url(plain((1, 2, 3))))
    assert caught.value.body["error"]["metadata"]["error_type"] == "image_too_large"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Refused, match="400"):
        decode(url(plain((1, 2, 3))))


@pytest.mark.parametrize("kind", ["input_audio", "input_video", "input_file"])
def test_other_media_are_refused_by_models_without_them_and_hashed_by_the_others(ask, kind):
    refused = ask([(kind, "data:a/b;base64,AAAA")], model="voyageai/voyage-multimodal-3.5")
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == f"No endpoints found that support {kind[6:]} input"
    one, same, other = rows(ask(*([(kind, f"data:a/b;base64,{data}")] for data in ("AAAA", "AAAA", "AAAB"))))
    assert (one == same).all()
    assert abs(one @ other) < 0.3


def test_a_model_of_texts_takes_no_picture(ask):
    answer = ask([image(plain((1, 2, 3)))], model=READS)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "No endpoints found that support image input"
