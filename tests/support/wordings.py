"""How servers of embeddings word their refusals, read in their source and in public reports, and what each means.

Each entry is a name, the status, the body, how many inputs the request had, and the number of inputs that the words allow.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Wording(NamedTuple):
    """One refusal as it comes over the wire."""

    name: str
    status: int
    body: Any
    count: int = 64
    limit: int | None = None

    @property
    def raw(self) -> bytes:
        """The body's bytes: JSON, but for a text."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def openai(message: str, **more: Any) -> dict[str, Any]:
    """Return OpenAI's form, which most others have taken over."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


def flat(message: str, **more: Any) -> dict[str, Any]:
    """Return the form of older vLLM, Mistral and TEI: the error at the top."""
    return {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400, **more}


def fastapi(kind: str, place: list[Any], message: str) -> dict[str, Any]:
    """Return the form of FastAPI's own validation, which repeats the input."""
    return {"detail": [{"type": kind, "loc": ["body", *place], "msg": message, "input": "a text of ours"}]}


DASHSCOPE = "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, it should not be larger than 10.: input.contents"
VERTEX = "Unable to submit request because it included too many instances. The request has a batchSize value of 1234 but the supported range is from 1 (inclusive) to 251 (exclusive)."
VOYAGE = "Request to model 'voyage-code-3' failed. The max allowed tokens per submitted batch is 120000. Your batch has 124417 tokens after truncation. Please lower the number of tokens in the batch."

TOO_MANY = [
    Wording("TEI", 413, flat("batch size 100 > maximum allowed batch size 32", code=413, type="Validation"), 100, 32),
    Wording("TEI, its own route", 413, {"error": "batch size 64 > maximum allowed batch size 32"}, 64, 32),
    Wording("TEI, its web server", 413, "Failed to buffer the request body: length limit exceeded"),
    Wording("SiliconFlow", 413, {"code": 20042, "message": "input batch size 136 > maximum allowed batch size 64"}, 136, 64),
    Wording("DashScope", 400, openai(DASHSCOPE), 64, 10),
    Wording("Azure", 400, openai("Too many inputs. The max number of inputs is 16.  We hope to increase it soon."), 64, 16),
    Wording("infinity", 422, fastapi("too_long", ["input"], "List should have at most 32 items after validation, not 64"), 64, 32),
    Wording("DeepInfra", 422, openai("Value should have at most 1024 items after validation, not 1260"), 1260, 1024),
    Wording("Jina", 400, {"detail": "Validation error: 'body -> jina-embeddings-v4' Each input list can contain at most 512 items."}, 600, 512),
    Wording("Cohere", 400, {"message": "invalid request: total number of texts must be at most 96 - received 131"}, 131, 96),
    Wording("Google", 400, [openai("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n", code=400)], 150, 100),
    Wording("Vertex", 400, openai("5 instance(s) is allowed per prediction. Actual: 6"), 6, 5),
    Wording("Vertex, by model", 400, openai(VERTEX), 1234),
    Wording("OpenAI", 400, openai("Invalid 'input': array too long. Expected an array with maximum length 2048, but got an array with length 3000 instead."), 3000, 2048),
    Wording("OpenAI, tokens", 400, openai("Requested 673477 tokens, max 300000 tokens per request")),
    Wording("OpenAI, per minute", 429, openai("Request too large for text-embedding-3-small on tokens per min (TPM): Limit 40000, Requested 50000.", type="tokens")),
    Wording("Mistral, tokens", 400, flat("Too many tokens in batch. Max is 16384 got 17555", code=None)),
    Wording("Mistral, newer", 400, flat("Too many tokens overall, split into more batches.", code="3210")),
    Wording("Voyage, tokens", 400, {"detail": VOYAGE}),
    Wording("Voyage", 400, {"detail": "The batch size limit is 1000. Your batch size is 1001."}, 1001, 1000),
    Wording("nginx", 413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
]  # fmt: skip

VLLM = "This model's maximum context length is 512 tokens. However, you requested 1451 tokens in the input for embedding generation. Please reduce the length of the input."
TOO_LONG = [
    Wording("TEI", 413, flat("Input validation error: `inputs` must have less than 512 tokens. Given: 516", code=413)),
    Wording("TEI, characters", 413, {"error": "Input validation error: `inputs` must have less than 32000 characters. Given: 67337"}),
    Wording("SiliconFlow", 413, {"code": 20042, "message": "input must have less than 512 tokens", "data": None}),
    Wording("NVIDIA", 400, flat("Input length 2667 exceeds maximum allowed token size 512", detail={})),
    Wording("vLLM", 400, flat(VLLM)),
    Wording("vLLM, newer", 400, openai("You passed 8193 input tokens and requested 0 output tokens. However, the model's context length is only 8192 tokens.")),
    Wording("LiteLLM", 400, openai("litellm.ContextWindowExceededError: This model's maximum context length is 512 tokens. Input contains at least 513 tokens.")),
    Wording("OpenAI", 400, openai("This model's maximum context length is 8192 tokens, however you requested 9000 tokens (9000 in your prompt; 0 for the completion). Please reduce your prompt; or completion length.")),
    Wording("OpenAI, newer", 400, openai("Invalid 'input[3]': maximum input length is 8192 tokens.")),
    Wording("OpenRouter", 400, openai("Input is too long", metadata={"error_type": "context_length_exceeded"})),
    Wording("llama.cpp", 500, openai("input (992 tokens) is too large to process. increase the physical batch size (current batch size: 512)", code=500)),
    Wording("llama.cpp, newer", 400, openai("request (4819 tokens) exceeds the available context size (2048 tokens), try increasing it", code=400)),
    Wording("gpustack", 400, openai("Illegal param: prefill 744 tokens exceed n_ctx_per_seq, try increasing total context size")),
    Wording("Ollama", 400, {"error": "the input length exceeds the context length"}),
    Wording("Ollama, older", 400, openai("input length exceeds maximum context length")),
    Wording("Mistral", 400, flat("Input id 0 has 8193 tokens, exceeding max 8192 tokens.")),
    Wording("DashScope", 400, openai("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 8192]")),
    Wording("Bedrock, alone", 400, openai("Too many input tokens. Max input tokens: 8192, request input token count: 9875"), 1),
    Wording("Mistral, alone", 400, flat("Too many tokens in batch. Max is 16384 got 17555"), 1),
    Wording("Google", 400, [openai("The input token count (12508) exceeds the maximum number of tokens allowed (10485).")]),
    Wording("Jina", 400, {"detail": "Single text cannot exceed 8194 tokens. 8342 tokens given."}),
    Wording("infinity", 422, fastapi("string_too_long", ["input", 3], "String should have at most 122880 characters")),
    Wording("some server", 400, {"message": "The input exceeds the maximum length"}),
    Wording("nginx, alone", 413, "<html><head><title>413 Request Entity Too Large</title></head></html>", 1),
]  # fmt: skip

OF_A_PARAMETER = [
    Wording("some server, in words of length", 400, {"message": "dimensions 4096 exceeds the embedding length 1024"}),
    Wording("some server, in words of a batch", 400, {"message": "dimensions exceeds the maximum allowed (at most 1024 items)"}),
    Wording("vLLM", 400, flat('Model "bge-m3" does not support matryoshka representation, changing output dimensions will lead to poor results.')),
    Wording("vLLM, older", 400, flat("dimensions is currently not supported")),
    Wording("OpenAI", 400, openai("This model does not support specifying dimensions.")),
    Wording("OpenAI, too wide", 400, openai("Invalid value for 'dimensions' = 4096. Must be less than or equal to 1536.")),
    Wording("LiteLLM", 400, openai("litellm.UnsupportedParamsError: Setting dimensions is not supported for OpenAI `text-embedding-3` and later models.")),
    Wording("Voyage", 400, {"detail": "Value '300' supplied for argument 'output_dimension' is not valid -- accepted values are [256, 512, 1024, 2048]."}),
    Wording("Mistral", 422, flat({"detail": [{"type": "extra_forbidden", "loc": ["user"], "msg": "Extra inputs are not permitted"}]}, code=None)),
    Wording("FastAPI", 422, fastapi("extra_forbidden", ["user"], "Extra inputs are not permitted")),
    Wording("NVIDIA", 400, flat("'input_type' parameter is required for asymmetric models")),
    Wording("Cohere", 400, {"message": "invalid request: valid input_type must be provided with the provided model"}),
    Wording("OpenRouter", 400, openai("unknown parameter: 'provider'")),
]  # fmt: skip

OF_THE_MODEL = [
    Wording("vLLM", 404, flat("The model `m` does not exist.", type="NotFoundError", code=404)),
    Wording("Ollama", 404, openai('model "m" not found, try pulling it first', type="api_error")),
    Wording("Azure", 404, openai("The API deployment for this resource does not exist.", code="DeploymentNotFound")),
    Wording("OpenRouter, preferences", 404, openai("No endpoints found matching your data policy", code=404)),
    Wording("LiteLLM", 400, openai("/embeddings: Invalid model name passed in model=m. Call `/v1/models` to view available models.", code="400")),
    Wording("SiliconFlow", 400, {"code": 20012, "message": "Model does not exist. Please check it carefully.", "data": None}),
    Wording("Voyage", 400, {"detail": "Model foo is not supported. Supported models are ['voyage-3']."}),
    Wording("Xinference", 400, {"detail": "Model not found in the model list, uid: m"}),
    Wording("OpenRouter", 400, openai("m is not a valid model ID", code=400)),
]  # fmt: skip

OF_THE_ADDRESS = [
    Wording("FastAPI", 404, {"detail": "Not Found"}),
    Wording("FastAPI, method", 405, {"detail": "Method Not Allowed"}),
    Wording("Go", 404, "404 page not found"),
    Wording("a page of a model's maker", 404, "<html><title>Not found | The best models</title></html>"),
    Wording("OpenAI", 404, openai("Invalid URL (POST /v1/v1/embeddings)")),
    Wording(
        "llama.cpp", 501, openai("This server does not support embeddings. Start it with `--embeddings`", code=501)
    ),
    Wording("LM Studio", 200, {"error": "Unexpected endpoint or method. (POST /embeddings)"}),
]

OF_TLS = [
    Wording("nginx", 400, "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"),
    Wording("Go", 400, "Client sent an HTTP request to an HTTPS server.\n"),
]  # fmt: skip

OF_THE_KEY = [
    Wording("infinity", 401, {"detail": "Unauthorized"}),
    Wording("Cohere", 401, {"message": "invalid api token"}),
    Wording("Google", 400, [openai("API key not valid. Please pass a valid API key.", code=400)]),
]

OF_CREDIT = [
    Wording("OpenRouter", 402, openai("Insufficient credits", code=402)),
    Wording("OpenAI", 429, openai("You exceeded your current quota, please check your plan.", code="insufficient_quota")),
    Wording("LiteLLM", 400, openai("Budget has been exceeded! Current cost: 26.0, Max budget: 0.25", type="budget_exceeded")),
    Wording("SiliconFlow", 403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}),
]  # fmt: skip

OF_FLOATS = [
    Wording("FastAPI", 422, fastapi("literal_error", ["encoding_format"], "Input should be 'float'")),
    Wording("DeepInfra", 422, openai("base64 is not supported")),
]

OF_AN_INPUT = [
    Wording("OpenAI", 400, openai("Invalid 'input[0]': input cannot be an empty string.")),
    Wording("TEI", 400, flat("`inputs` cannot be empty", type="Empty")),
    Wording("a filter", 400, openai("rejected by the provider")),
    Wording("nothing said", 422, ""),
]

MAY_PASS = [
    Wording("TEI, its model", 424, flat("CUDA out of memory", type="Backend", code=424)),
    Wording("Google", 502, "<html><title>502 Bad Gateway</title></html>"),
]
