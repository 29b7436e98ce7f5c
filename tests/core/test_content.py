"""A part that cannot be sent cannot be made, and nothing of a part is ever shown."""

from __future__ import annotations

import base64
import copy
import pickle

import pytest

from openrouter_embeddings.content import (
    AudioPart,
    Content,
    FilePart,
    ImagePart,
    TextPart,
    VideoPart,
    lone_surrogate,
)
from openrouter_embeddings.errors import InputError

SECRET = "the patient's name"
PNG = base64.b64encode(b"picture").decode()


def test_parts_go_over_the_wire_as_documented():
    content = Content.of(
        "a",
        ImagePart("https://example.org/a.png"),
        AudioPart.from_bytes(b"sound", "audio/wav"),
        VideoPart.from_bytes(bytearray(b"film"), "video/mp4"),
        FilePart.from_bytes(memoryview(b"file"), "application/pdf"),
        FilePart("https://example.org/a.pdf"),
    )
    assert content.to_wire() == {
        "content": [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            {"type": "input_audio", "input_audio": {"data": "data:audio/wav;base64,c291bmQ=", "format": "wav"}},
            {"type": "input_video", "input_video": {"data": "data:video/mp4;base64,ZmlsbQ==", "format": "mp4"}},
            {"type": "input_file", "input_file": {"data": "data:application/pdf;base64,ZmlsZQ==", "format": "pdf"}},
            {"type": "input_file", "input_file": {"data": "https://example.org/a.pdf"}},
        ]
    }
    assert content.modalities == {"text", "image", "audio", "video", "file"}


@pytest.mark.parametrize(
    ("part", "name", "wire"),
    [
        (ImagePart, "a.PNG", {"url": "data:image/png;base64,AQI="}),
        (AudioPart, "a.mp3", {"data": "data:audio/mpeg;base64,AQI=", "format": "mp3"}),
        (VideoPart, "a.mov", {"data": "data:video/quicktime;base64,AQI=", "format": "mov"}),
        (FilePart, "a.pdf", {"data": "data:application/pdf;base64,AQI=", "format": "pdf"}),
        (FilePart, "a.json", {"data": "data:application/json;base64,AQI=", "format": "json"}),
    ],
)
def test_a_file_says_its_media_type_by_its_ending(tmp_path, part, name, wire):
    file = tmp_path / name
    file.write_bytes(b"\x01\x02")
    sent = part.from_file(file).to_wire()
    assert sent[sent["type"]] == wire


def test_parts_are_values():
    content = Content([TextPart("a"), AudioPart.from_bytes(b"a", "audio/wav")])
    for same in (copy.deepcopy(content), pickle.loads(pickle.dumps(content))):
        assert same == content
        assert hash(same) == hash(content)
    assert AudioPart("https://a.org/a") != VideoPart("https://a.org/a")
    with pytest.raises(AttributeError):
        content.parts[0].text = "b"


def test_no_repr_shows_what_is_inside():
    content = Content.of(
        SECRET,
        ImagePart(f"https://example.org/{SECRET.replace(' ', '_')}?signature=1"),
        ImagePart(f"data:image/png;base64,{PNG}"),
        AudioPart.from_bytes(b"sound", "audio/wav"),
    )
    assert repr(content) == (
        "Content(TextPart(<18 characters>), ImagePart(<https URL>), ImagePart(<data URL, 34 characters>), "
        "AudioPart(<data URL, 30 characters>, format='wav'))"
    )


IMAGE = "Use an https:// URL, ImagePart.from_bytes(...) or ImagePart.from_file(...)."


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: TextPart(""), "A text part is empty. Remove it."),
        (lambda: TextPart(1), "A text part takes a str, not int."),
        (
            lambda: TextPart("ab\ud800"),
            "A text part holds a lone surrogate (position 2 of the text), which no UTF-8 can carry.",
        ),
        (lambda: ImagePart(b"x"), f"ImagePart takes a URL as str, not bytes. {IMAGE}"),
        (lambda: ImagePart("http://example.org"), f"ImagePart takes https:// and data: URLs only. {IMAGE}"),
        (lambda: ImagePart("/etc/passwd"), f"ImagePart takes https:// and data: URLs only. {IMAGE}"),
        (lambda: ImagePart("file:///etc/passwd"), f"ImagePart takes https:// and data: URLs only. {IMAGE}"),
        (lambda: ImagePart("https://"), f"ImagePart takes https:// and data: URLs only. {IMAGE}"),
        (
            lambda: ImagePart("https://example.org/a b"),
            f"ImagePart got a URL with white space, a control character or a lone surrogate. {IMAGE}",
        ),
        (
            lambda: ImagePart("data:image/png,abc"),
            f"ImagePart got a data: URL that is not of the form data:<media type>;base64,<data>. {IMAGE}",
        ),
        (lambda: ImagePart("data:image/png;base64,"), f"ImagePart got a data: URL without data. {IMAGE}"),
        (lambda: ImagePart.from_bytes("x", "image/png"), "ImagePart.from_bytes takes bytes, not str."),
        (lambda: ImagePart.from_bytes(b"", "image/png"), "ImagePart.from_bytes got no data."),
        (lambda: ImagePart.from_bytes(b"x", "audio/wav"), "ImagePart takes a media type such as 'image/png'."),
        (lambda: FilePart.from_bytes(b"x", "pdf"), "FilePart takes a media type such as 'application/pdf'."),
        (lambda: AudioPart("https://a.org/a", ""), "AudioPart takes a format such as 'mp4', or None."),
        (
            lambda: ImagePart.from_file("a.nonsense"),
            "The ending '.nonsense' does not say the media type. Use ImagePart.from_bytes(data, media_type).",
        ),
        (lambda: ImagePart.from_bytes(b"x", None), "ImagePart takes a media type such as 'image/png'."),
        (
            lambda: ImagePart("DATA:image/png;base64,ü"),
            f"ImagePart got a data: URL that is not of the form data:<media type>;base64,<data>. {IMAGE}",
        ),
        (lambda: Content(7), "Content takes a list of parts, not int. Write Content.of(...)."),
        (lambda: Content(()), "A Content has no parts. Give it one, or remove it."),
        (lambda: Content(SECRET), "Content takes a list of parts, not str. Write Content.of(...)."),
        (lambda: Content(TextPart("a")), "Content takes a list of parts, not TextPart. Write Content.of(...)."),
        (lambda: Content.of("a", 7), "Part 1 of a Content is int, not a part."),
    ],
)
def test_a_part_that_cannot_be_sent_cannot_be_made(make, text):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == text


def test_the_place_of_half_a_surrogate_pair_is_found():
    assert lone_surrogate("ab\ud83d") == 2
    assert lone_surrogate("😀") is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\n\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
def test_a_picture_is_taken_as_a_path_a_url_or_its_bytes(tmp_path, head, kind):
    file = tmp_path / f"picture.{kind.rpartition('/')[2]}"
    file.write_bytes(head)
    part = ImagePart.from_bytes(head, kind)
    for given in (head, bytearray(head), file, str(file), part.url, part):
        assert ImagePart.of(given) == part
    assert ImagePart.of("https://example.org/a").url == "https://example.org/a"


@pytest.mark.parametrize("wrong", [b"", b"text", b"RIFF\n\x00\x00\x00WAVE", "http://example.org/a.png"])
def test_what_is_no_picture_is_refused_and_not_shown(wrong):
    with pytest.raises(InputError) as caught:
        ImagePart.of(wrong)
    assert "example.org" not in str(caught.value)
