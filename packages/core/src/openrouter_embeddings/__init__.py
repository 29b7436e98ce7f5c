"""Embeddings through OpenRouter, and gateways that speak its dialect: every answer checked, nothing paid lost."""

from .cache import Cache, CacheWarning, MemoryCache, SqliteCache
from .checks import ConsistencyCheck, Finding, ModelCheck, ProviderCheck
from .client import AsyncClient, Client
from .content import AudioPart, Content, FilePart, ImagePart, TextPart, VideoPart
from .errors import (
    APIError,
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    ConnectionFailedError,
    EmbeddingError,
    InputError,
    InputTooLongError,
    InsufficientCreditsError,
    InvalidRequestError,
    ModelNotFoundError,
    Partial,
    PermissionDeniedError,
    ProviderUnavailableError,
    RateLimitError,
    ResponseError,
    ServerError,
    TimedOutError,
)
from .gateways import INFRON, OPENAI_COMPATIBLE, OPENROUTER, Gateway, ModelInfo
from .inputs import Input, InputType
from .limiter import Lease, LeaseOutcome, Limiter, LimiterWarning
from .option_types import ClientOptions
from .options import Options
from .preferences import ProviderPreferences
from .profiles import Marking, Profile, ProfileWarning, profile_for
from .results import EmbeddingResult
from .stream import StreamBatch, StreamProgress
from .usage import Usage, UsageTracker, UsageWarning, track_usage

__all__ = [
    "INFRON",
    "OPENAI_COMPATIBLE",
    "OPENROUTER",
    "APIError",
    "AsyncClient",
    "AudioPart",
    "AuthenticationError",
    "BudgetExceededError",
    "Cache",
    "CacheWarning",
    "Client",
    "ClientOptions",
    "ConfigurationError",
    "ConnectionFailedError",
    "ConsistencyCheck",
    "Content",
    "EmbeddingError",
    "EmbeddingResult",
    "FilePart",
    "Finding",
    "Gateway",
    "ImagePart",
    "Input",
    "InputError",
    "InputTooLongError",
    "InputType",
    "InsufficientCreditsError",
    "InvalidRequestError",
    "Lease",
    "LeaseOutcome",
    "Limiter",
    "LimiterWarning",
    "Marking",
    "MemoryCache",
    "ModelCheck",
    "ModelInfo",
    "ModelNotFoundError",
    "Options",
    "Partial",
    "PermissionDeniedError",
    "Profile",
    "ProfileWarning",
    "ProviderCheck",
    "ProviderPreferences",
    "ProviderUnavailableError",
    "RateLimitError",
    "ResponseError",
    "ServerError",
    "SqliteCache",
    "StreamBatch",
    "StreamProgress",
    "TextPart",
    "TimedOutError",
    "Usage",
    "UsageTracker",
    "UsageWarning",
    "VideoPart",
    "profile_for",
    "track_usage",
]
