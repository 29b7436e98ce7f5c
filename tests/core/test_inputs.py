"""Every input that cannot be sent is named by its position, and no message shows a text."""

import base64
import copy
import pickle
import time

import numpy as np
import pytest

from openrouter_embeddings.content import Content
from openrouter_embeddings.errors import InputError
from openrouter_embeddings.inputs import (
    AudioPart,
    FilePart,
    ImagePart,
    TextPart,
    VideoPart,
    check_inputs,
    named_positions,
    wire_inputs,
)

SECRET = "the patient's name"
PNG = base64.b64encode(b"picture").decode()


def test_texts_come_back_as_they_are_in_a_list():
    texts = ["a", " ", "\n", "ü", "😀", "\x00", "a"]
    assert check_inputs(texts, on_empty="error") == texts
    assert check_inputs(iter(texts), on_empty="error") == texts
    assert check_inputs(tuple(texts), on_empty="error") is not texts
    assert check_inputs([], on_empty="error") == []


def test_subclasses_of_str_become_plain_text():
    checked = check_inputs(np.array(["a", "b"]), on_empty="error")
    assert checked == ["a", "b"]
    assert {type(one) for one in checked} == {str}


def test_empty_texts_stay_where_another_policy_deals_with_them():
    assert check_inputs(["a", ""], on_empty="zero") == ["a", ""]


def test_texts_and_contents_may_be_mixed():
    content = Content.of("a", ImagePart("https://example.org/a.png"))
    assert check_inputs(["a", content], on_empty="error") == ["a", content]


LIST = "embed takes a list of str or Content."


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (SECRET, "Inputs came as one str. embed takes a list; wrap it: [text]."),
        (
            SECRET.encode(),
            "Inputs came as bytes. embed takes a list of str; decode and wrap it: [data.decode()].",
        ),
        (Content.of(SECRET), "Inputs came as one Content. embed takes a list; wrap it: [content]."),
        (None, f"Inputs came as NoneType. {LIST}"),
        (7, f"Inputs came as int. {LIST}"),
        ({SECRET: 1}, f"Inputs came as dict. {LIST}"),
        ({SECRET}, f"Inputs came as set. {LIST}"),
    ],
)
def test_what_is_no_list_is_refused(given, text):
    with pytest.raises(InputError) as caught:
        check_inputs(given, on_empty="error")
    assert str(caught.value) == text
    assert caught.value.positions == ()


@pytest.mark.parametrize(
    ("given", "text", "positions"),
    [
        ([SECRET, SECRET, SECRET, 5], "Input 3 is int, not str.", (3,)),
        ([None], "Input 0 is NoneType, not str.", (0,)),
        ([SECRET.encode(), "a"], "Input 0 is bytes, not str.", (0,)),
        (["a", [1, 2]], "Input 1 is list, not str.", (1,)),
        ([1, "a", None, None, 2, "a", 3], "Inputs 0, 2-4 and 6 are NoneType or int, not str.", (0, 2, 3, 4, 6)),
        (
            ["a"] * 17 + [""],
            "Input 17 is empty. Remove it, or choose on_empty='zero' to get a zero embedding in its place.",
            (17,),
        ),
        (
            ["", "a", "", Content.of("a")],
            "Inputs 0 and 2 are empty. Remove them, or choose on_empty='zero' to get zero embeddings in their places.",
            (0, 2),
        ),
        (
            ["ä"] * 4 + ["0123456789ab\udc80"],
            "Input 4 holds a lone surrogate (position 12 of the text), which no UTF-8 can carry.",
            (4,),
        ),
        (
            ["a", "b\ud83d", "\ude00", Content.of("a")],
            "Inputs 1-2 hold lone surrogates (the first at position 1 of input 1), which no UTF-8 can carry.",
            (1, 2),
        ),
    ],
)
def test_every_input_that_cannot_be_sent_is_named(given, text, positions):
    with pytest.raises(InputError) as caught:
        check_inputs(given, on_empty="error")
    assert str(caught.value) == text
    assert caught.value.positions == positions
    assert caught.value.__context__ is None


def test_many_positions_are_listed_compactly():
    assert named_positions([3]) == "Input 3"
    assert named_positions([3, 4]) == "Inputs 3-4"
    assert named_positions(range(0, 6, 2)) == "Inputs 0, 2 and 4"
    assert named_positions(range(0, 20_000, 2)) == "Inputs 0, 2, 4, 6, 8, 10, 12, 14 and 9,992 more"


@pytest.mark.parametrize("letter", ["a", "ü", "語"])
def test_a_hundred_thousand_texts_are_checked_in_a_blink(letter):
    texts = [f"{letter * 40} {number}" for number in range(100_000)]
    fastest = min(_seconds(texts) for _ in range(5))
    assert fastest < 0.1  # a bound that holds on a busy machine; about a tenth of it is usual


def _seconds(texts):
    start = time.perf_counter()
    check_inputs(texts, on_empty="error")
    return time.perf_counter() - start


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


def test_texts_beside_contents_become_contents():
    content = Content.of(ImagePart("https://example.org/a.png"))
    assert wire_inputs(["a", "b"]) == ["a", "b"]
    assert wire_inputs(["a", content]) == [{"content": [{"type": "text", "text": "a"}]}, content.to_wire()]


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
