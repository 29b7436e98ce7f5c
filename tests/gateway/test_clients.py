"""Official clients against the gateway: they read it as they read the real one."""

from __future__ import annotations

import pytest

SMALL = "openai/text-embedding-3-small"


def test_the_openai_client_reads_floats_and_base64(embeddings_gateway):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(api_key="k", base_url=embeddings_gateway.base_url) as client:
        plain = client.embeddings.create(model=SMALL, input=["a cat", "a dog"], encoding_format="float")
        packed = client.embeddings.create(model=SMALL, input=["a cat", "a dog"])  # its default is base64
        assert [row.index for row in packed.data] == [0, 1]
        assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-7)
        assert len(packed.data[0].embedding) == 1536
    assert [request.body["encoding_format"] for request in embeddings_gateway.embedding_requests()] == [
        "float",
        "base64",
    ]


def test_the_openai_client_lists_models(embeddings_gateway):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(api_key="k", base_url=embeddings_gateway.base_url) as client:
        assert SMALL in {model.id for model in client.models.list()}


def test_the_openai_client_reads_an_error(embeddings_gateway):
    openai = pytest.importorskip("openai")
    embeddings_gateway.trouble("status", status=402)
    with openai.OpenAI(api_key="k", base_url=embeddings_gateway.base_url, max_retries=0) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            client.embeddings.create(model=SMALL, input="a")
        assert caught.value.status_code == 402


@pytest.mark.filterwarnings("ignore:ast:DeprecationWarning")  # of a library of the client's, on Python 3.13
def test_the_openrouter_client_embeds_and_lists_models(embeddings_gateway):
    openrouter = pytest.importorskip("openrouter")
    with openrouter.OpenRouter(api_key="k", server_url=embeddings_gateway.base_url) as client:
        found = client.embeddings.generate(model=SMALL, input=["a cat", "a dog"], dimensions=64)
        assert [len(row.embedding) for row in found.data] == [64, 64]
        assert found.usage.cost > 0
        listed = client.embeddings.list_models()
        models = getattr(listed, "result", listed).data
        assert SMALL in {model.id for model in models}
