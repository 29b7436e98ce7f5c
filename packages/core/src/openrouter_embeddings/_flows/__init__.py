"""Tells what happens to a call, as generators that ask for effects: prepare, claim, send, split, isolate, keep."""

from .attempts import UNREACHED_SECONDS
from .batches import Batch, BatchQueue, estimated_tokens
from .call import EmbedCall
from .claims import CLAIM_MARGIN
from .delivery import send_until_settled
from .effects import (
    AwaitShared,
    CacheClaim,
    CacheGet,
    CachePut,
    CallStopped,
    Effect,
    Fetch,
    Flow,
    Gather,
    NotSent,
    NotSentReason,
    Send,
    Sent,
    Sleep,
    await_shared,
    gather,
    sleep,
)
from .embedding import drain_queue, embed, embed_each
from .inflight import CallShare, InFlightRegistry, SharedOutcome, Waker
from .learned import MAX_INPUTS, LearnedLimits
from .listing import list_endpoints, list_models
from .prepare import prepare_call
from .settings import QUERY_RETRIES, QUERY_SECONDS, check_input_type, is_guessed, marking

__all__ = [
    "CLAIM_MARGIN",
    "MAX_INPUTS",
    "QUERY_RETRIES",
    "QUERY_SECONDS",
    "UNREACHED_SECONDS",
    "AwaitShared",
    "Batch",
    "BatchQueue",
    "CacheClaim",
    "CacheGet",
    "CachePut",
    "CallShare",
    "CallStopped",
    "Effect",
    "EmbedCall",
    "Fetch",
    "Flow",
    "Gather",
    "InFlightRegistry",
    "LearnedLimits",
    "NotSent",
    "NotSentReason",
    "Send",
    "Sent",
    "SharedOutcome",
    "Sleep",
    "Waker",
    "await_shared",
    "check_input_type",
    "drain_queue",
    "embed",
    "embed_each",
    "estimated_tokens",
    "gather",
    "is_guessed",
    "list_endpoints",
    "list_models",
    "marking",
    "prepare_call",
    "send_until_settled",
    "sleep",
]
