"""Who serves: the two providers that this gateway lists, and the slugs that a request may name besides."""

from __future__ import annotations

LOCAL = ("local", "nearby")
"""Who serves every model here. A provider of OpenRouter's that a request insists on is played too."""
_OPENROUTER = """
01ai ai21 aion-labs akashml alibaba amazon-bedrock amazon-nova ambient anthropic anyscale arcee-ai assemblyai
atlas-cloud atoma avian azure baidu baseten black-forest-labs byteplus centml cerebras chutes cirrascale clarifai
claude-on-aws cloudflare cohere coreweave cosine crofai crucible crusoe darkbloom databricks decart deepgram deepinfra
deepseek dekallm digitalocean elevenlabs enfer fake-provider featherless fireworks fish-audio friendli gmicloud
google-ai-studio google-vertex gopomelo groq heygen huggingface hyperbolic hyperbolic-quantized inception inceptron
inferact-vllm inference-net infermatic inflection inocloud io-net ionstream klusterai krea lambda lepton liquid lynn
lynn-private makora mancer mancer-old mara meta minimax mistral modal modelrun modular moonshotai morph ncompass
near-ai nebius nex-agi nextbit nineteen novita nvidia octoai ollama open-inference openai parasail pareto-alpha
perceptron perplexity phala poolside primeintellect quiver recraft recursal recursive reflection reka relace replicate
respan runway sail-research sakana sakana-ai sambanova sambanova-cloaked scaledown seed sf-compute siliconflow
sourceful stealth stepfun streamlake switchpoint targon tencent tenstorrent thinkingmachines together together-lite
typesafe ubicloud unbiased upstage venice voyageai wafer wandb wandb-legacy xai xiaomi z-ai
"""
"""The schema of OpenRouter's Python SDK 1.3.84, `ProviderOptions`, read 2026-11-21."""
_SLUGS = frozenset((*LOCAL, *_OPENROUTER.split()))


def is_provider(slug: str) -> bool:
    """Return whether a provider has this slug; what follows a `/` names one of its endpoints, and is not looked at."""
    return slug.partition("/")[0].lower() in _SLUGS
