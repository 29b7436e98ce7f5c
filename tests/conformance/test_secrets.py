"""Law 11. No key and no input text in any repr, error, log or dump: a canary of each is looked for on every surface."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback

import pytest

from openrouter_embeddings import EmbeddingError

KEY = "sk-or-v1-canary-0b5e9c7f2a"
TEXT = "canary text: the patient's name is Quillfeather"
PIECES = ("canary-0b5e9c7f2a", "Quillfeather", "canary text")

TROUBLES = {
    "401 that repeats the key": {"kind": "status", "status": 401, "message": f"Incorrect API key provided: {KEY}."},
    "400 that repeats the text": {"kind": "status", "status": 400, "message": f"invalid input: {TEXT!r}"},
    "400 that repeats half the text": {
        "kind": "status",
        "status": 400,
        "message": f"could not read '{TEXT[13:40]}...'",
    },
    "402": {"kind": "status", "status": 402},
    "429": {"kind": "status", "status": 429, "retry_after": 3600},
    "500 that repeats both": {"kind": "status", "status": 500, "message": f"Bearer {KEY} sent {TEXT}"},
    "error in a 200": {"kind": "error_in_200", "code": 400, "message": f"bad: {TEXT}"},
    "a body that is text": {"kind": "status", "status": 418, "body": f"{KEY} {TEXT}"},
    "html": {"kind": "html"},
    "not json": {"kind": "not_json"},
    "cut": {"kind": "cut"},
    "reset": {"kind": "reset"},
    "nan": {"kind": "nan"},
    "null": {"kind": "null_embedding"},
    "redirect": {"kind": "redirect"},
}


def bare(surface):
    """Fail, without printing the surface, where a canary stands on it."""
    held = surface if isinstance(surface, bytes) else surface.encode("utf-8", "surrogatepass")
    found = [piece for piece in PIECES if piece.encode() in held]
    if found:  # not an assertion: pytest would print the surface
        pytest.fail(f"{found[0]!r} is on the surface", pytrace=True)


def surfaces(error):
    """Yield everything a program may write down about an error, and those that hang on it."""
    yield str(error)
    yield repr(error)
    yield pickle.dumps(error)
    yield str({name: value for name, value in vars(error).items() if name != "documents"})
    # The lines of this file stand in a traceback and hold no canary; what the program holds in variables does not.
    yield "".join(traceback.format_exception(error))
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from (str(other), repr(other))
    if getattr(error, "partial", None) is not None:
        yield repr(error.partial)
        for failed in error.partial.positions_failed.values():
            yield from (str(failed), repr(failed), pickle.dumps(failed))


@pytest.mark.parametrize("how", ["literal", "environment"])
def test_an_object_shows_neither_key_nor_text(make, monkeypatch, how):
    """Before and after use, in both ways to give a key, `repr` and `str` hold neither.

    Troubleshooting: pydantic models show every field; a field that is a secret needs `repr=False`.
    """
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    subject = make(**({"api_key": KEY} if how == "literal" else {}))
    subject.embed_documents([TEXT])
    subject.embed_query(TEXT)
    for part in subject.parts:
        bare(repr(part))
        bare(str(part))
        bare(repr(copy.deepcopy(part)))
        bare(f"{part!r:>10}")
    bare(repr(subject.usage))


def test_a_dump_of_the_framework_shows_neither_key_nor_text(make, monkeypatch):
    """Saved pipelines, model dumps and events hold the options and no secret.

    Troubleshooting: a framework that walks over fields finds whatever is not excluded from serialisation.
    """
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    subject = make(extra_headers=None)
    subject.embed_documents([TEXT])
    for dump in subject.dumps():
        bare(dump)


def test_a_literal_key_is_in_no_dump(kind, make):
    """The same for a key that was given as it is; a framework may refuse to save such an object, and says so.

    Troubleshooting: a key in a saved file is a key in a repository.
    """
    subject = make(api_key=KEY)
    if kind.refuses_to_save_a_literal_key:
        with pytest.raises(ValueError) as refused:
            subject.dumps()
        bare(str(refused.value))
        return
    for dump in subject.dumps():
        bare(dump)


def test_a_key_from_the_environment_is_not_in_a_pickle(make, monkeypatch):
    """What goes to a worker names the variable; a literal key has to travel, and travels in a pickle alone.

    Troubleshooting: a key in the pickle means that the environment was read when the object was made, and kept.
    """
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    subject = make()
    subject.embed_documents([TEXT])
    for part in subject.parts:
        bare(pickle.dumps(part))


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("side", ["documents", "query"])
def test_an_error_shows_neither_key_nor_text(make, gateway, trouble, side, caplog):
    """Whatever the gateway says, also where it repeats what it was sent, the error, its pickle, its causes and the
    logs of every library at DEBUG hold neither.

    Troubleshooting: the surface that failed is in the traceback of this test; the piece is named. A log record is
    most often the HTTP library's own.
    """
    gateway.trouble(**TROUBLES[trouble], times=None)
    subject = make(api_key=KEY)
    with caplog.at_level(logging.DEBUG), pytest.raises(EmbeddingError) as caught:
        subject.embed_query(TEXT) if side == "query" else subject.embed_documents(["harmless", TEXT])
    for surface in surfaces(caught.value):
        bare(surface)
    for record in caplog.records:
        bare(record.getMessage())
        bare(str(vars(record)))


def test_what_landed_beside_an_error_shows_no_text(make, gateway):
    """Where one text is refused and its neighbours land, the error carries numbers and positions only.

    Troubleshooting: a framework's documents on the error carry their contents with them.
    """
    gateway.trouble("refuse_text", contains="refuse me", times=None)
    with pytest.raises(EmbeddingError) as caught:
        make(api_key=KEY).embed_documents([TEXT, f"refuse me: {TEXT}", f"{TEXT} again"])
    for surface in surfaces(caught.value):
        bare(surface)


def test_errors_before_any_request_show_neither(make, monkeypatch):
    """Wrong keys, wrong options and wrong inputs are named by what is wrong with them, not by their value.

    Troubleshooting: pydantic prints the refused value unless it is told not to.
    """
    wrong = [
        lambda: make(api_key=f"{KEY}\nx").embed_documents([TEXT]),  # a Secret of Haystack's is read at first use
        lambda: make(api_key=KEY, dimensions="many"),
        lambda: make(api_key=KEY, no_such_option=1),
        lambda: make(api_key=KEY, provider={"nonsense": 1}),
        lambda: make(api_key=KEY).embed_documents([TEXT, ""]),
        lambda: make(api_key=KEY).embed_documents([TEXT, "\ud800"]),
    ]
    for one in wrong:
        with pytest.raises(Exception) as caught:
            one()
        bare(str(caught.value))
        bare(repr(caught.value))
        bare("".join(traceback.format_exception(caught.value)))


def test_logs_at_debug_show_neither(make, gateway, caplog):
    """A call that goes well, with a retry in it, leaves no trace of what it sent in any logger.

    Troubleshooting: look at the logger's name; httpx and httpcore log headers at some levels.
    """
    gateway.trouble("status", status=429, retry_after=0.05)
    with caplog.at_level(logging.DEBUG):
        subject = make(api_key=KEY)
        subject.embed_documents([TEXT])
        subject.embed_query(TEXT)
    assert caplog.records, "the HTTP library logs at DEBUG, so this test can see"
    for record in caplog.records:
        bare(record.getMessage())
        bare(str(vars(record)))


def test_the_gateway_is_given_the_key(make, sent):
    """The canary's own canary: the key did travel, in the header where it belongs and nowhere in the body.

    Troubleshooting: were the key not sent, none of the tests above would mean anything.
    """
    import hashlib

    make(api_key=KEY).embed_documents([TEXT])
    (only,) = sent()
    assert only.headers["authorization_sha256"] == hashlib.sha256(KEY.encode()).hexdigest()
    assert only.body["input"] == [TEXT]
    bare(str({name: value for name, value in only.body.items() if name != "input"}))
