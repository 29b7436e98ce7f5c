"""Pictures to numbers: how much of each colour there is, and where it is light, dark and colourful.

This is no vision model. It sees colours and their layout, and knows no thing that a picture shows. The shares of eleven
colours weigh the text model's embeddings of their names, so that a picture comes near texts that name its colours.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from functools import cached_property
from io import BytesIO

import numpy as np

from .errors import Refused, invalid
from .model import TRAINED, Matrix, Model, unit

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
"""What OpenRouter's documentation names for images."""
_MOST_PIXELS = 50_000_000
_SIDE, _CELLS = 32, 4
"""A picture is averaged to 32 x 32 pixels, whose layout is given by 4 x 4 cells."""
_LAYOUT_WEIGHT = np.float32(0.15)
_SHARPNESS = np.float32(200.0)
"""How clearly a pixel belongs to the nearest colour: the exponent per squared distance."""
_COLOURS: dict[str, tuple[int, ...]] = {
    "red": (0xFF0000, 0xDC141E, 0x960000),
    "orange": (0xFF8C00, 0xFF6E1E),
    "yellow": (0xFFEB00, 0xFFF578),
    "green": (0x00FF00, 0x3CB44B, 0x008000, 0x004600, 0x008C78),
    "blue": (0x0000FF, 0x4682DC, 0x87BEF0, 0x00006E, 0x00DCFF),
    "purple": (0x800080, 0x9650C8),
    "pink": (0xFF69B4, 0xFFB6C8),
    "brown": (0x784614, 0x5A3214, 0xA0693C, 0xD2B48C),
    "black": (0x000000, 0x191919),
    "white": (0xFFFFFF,),
    "gray": (0x464646, 0x808080, 0xBEBEBE),
}
"""Colours by name, with shades that people call so."""
# Linear sRGB to cone responses and these to Oklab: Björn Ottosson, A perceptual color space, 2020.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)


class Pictures:
    """Embeds pictures in the space of a text model. Equal pixels give equal embeddings, whatever the file format."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def embed(self, url: str) -> Matrix:
        """Return 256 numbers at unit length for the picture in a `data:` URL, or refuse one that cannot be read."""
        pixels = _oklab(decode(url))
        embedding = _shares(pixels) @ self._names + _LAYOUT_WEIGHT * (_layout(pixels) @ self._directions)
        return np.asarray(unit(embedding[None])[0])

    @cached_property
    def _names(self) -> Matrix:
        """The embeddings of the colours' names."""
        return self._model.embed(self._model.tokenize(list(_COLOURS)))

    @cached_property
    def _directions(self) -> Matrix:
        """Orthonormal directions of layouts."""
        random = np.random.RandomState(_CELLS).standard_normal((TRAINED, 4 * _CELLS * _CELLS))
        return np.ascontiguousarray(np.linalg.qr(random)[0].T, dtype=np.float32)


def decode(url: str) -> Matrix:
    """Return the picture in a `data:` URL as 32 x 32 pixels, red, green and blue from 0 to 1, on white."""
    from PIL import Image, UnidentifiedImageError  # late: most requests hold no picture

    head, _, data = url.partition(",")
    if not head.startswith("data:"):
        raise _refused("this gateway fetches nothing; send the picture as a data: URL", "image_download_failed")
    try:
        with Image.open(BytesIO(b64decode(data, validate=True)), formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise _refused(f"more than {_MOST_PIXELS} pixels", "image_too_large")
            picture = image.convert("RGBA").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except UnidentifiedImageError:
        raise _refused(f"expected one of {', '.join(_FORMATS)}", "unsupported_image_format") from None
    except Image.DecompressionBombError:
        raise _refused(f"more than {_MOST_PIXELS} pixels", "image_too_large") from None
    except (binascii.Error, OSError, SyntaxError, ValueError):  # what Pillow raises for a broken file
        raise _refused("the data cannot be decoded", "invalid_image") from None
    on_white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return np.asarray(on_white, dtype=np.float32) / np.float32(255)


def _refused(why: str, error_type: str) -> Refused:
    return invalid(f"image_url: {why}", error_type=error_type)


def _oklab(rgb: Matrix) -> Matrix:
    """Return pixels in Oklab, where distances are as people see them."""
    linear = np.where(rgb > 0.04045, ((rgb + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4), rgb / 12.92)
    return np.asarray(np.cbrt(linear.astype(np.float32) @ _TO_CONES.T) @ _TO_LAB.T, dtype=np.float32)


def _shades() -> tuple[Matrix, Matrix]:
    """Return every shade in Oklab, and which colour it belongs to as a row of one 1 and zeros."""
    numbers = [shade for shades in _COLOURS.values() for shade in shades]
    rgb = np.array([[number >> 16, number >> 8 & 255, number & 255] for number in numbers], dtype=np.float32)
    owners = [index for index, shades in enumerate(_COLOURS.values()) for _ in shades]
    return _oklab(rgb / np.float32(255)), np.eye(len(_COLOURS), dtype=np.float32)[owners]


_SHADES, _COLOUR_OF_SHADE = _shades()


def _shares(pixels: Matrix) -> Matrix:
    """Return how much of the picture each colour takes, 1 together. A pixel between two colours counts for both."""
    distances = ((pixels.reshape(-1, 1, 3) - _SHADES) ** 2).sum(axis=2)
    weights = np.exp(-_SHARPNESS * (distances - distances.min(axis=1, keepdims=True)))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(weights.mean(axis=0) @ _COLOUR_OF_SHADE, dtype=np.float32)


def _layout(pixels: Matrix) -> Matrix:
    """Return the mean colour and the contrast of each cell, 64 numbers around zero."""
    size = _SIDE // _CELLS
    cells = pixels.reshape(_CELLS, size, _CELLS, size, 3)
    means = cells.mean(axis=(1, 3)) - np.array([0.5, 0, 0], dtype=np.float32)
    contrasts = cells[..., 0].std(axis=(1, 3))[..., None]
    return np.concatenate([means, contrasts], axis=2).ravel()
