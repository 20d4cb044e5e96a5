"""How providers name their failures: by status, by code, and in words; data."""

import re
from collections.abc import Mapping

from shared.providers.errors import (
    AuthFailed,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Timeout,
    Unavailable,
)
from shared.providers.gemini_errors import NO_ACCESS, QUOTA_PER_DAY

TOO_LONG_STATUSES = frozenset({400, 413, 422})

BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: AuthFailed,
    402: QuotaExhausted,
    403: AuthFailed,
    404: ModelNotFound,
    408: Timeout,
    409: Unavailable,
    425: Unavailable,
    429: RateLimited,
    498: Overloaded,  # Groq: flex capacity
    499: Unavailable,
    503: Overloaded,
    529: Overloaded,
}

# Codes that say more than the status they come with.
BY_CODE: Mapping[str, type[ProviderError]] = {
    "insufficient_quota": QuotaExhausted,
    "billing_hard_limit_reached": QuotaExhausted,
    "billing_not_active": QuotaExhausted,
    "insufficient_balance": QuotaExhausted,
    "context_length_exceeded": ContextTooLong,
    "exceed_context_size_error": ContextTooLong,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "moderation_blocked": ContentFiltered,
    "responsibleaipolicyviolation": ContentFiltered,
    "model_not_found": ModelNotFound,
    "deploymentnotfound": ModelNotFound,
    "invalid_model": ModelNotFound,
    "model_decommissioned": ModelNotFound,
    "billing_error": QuotaExhausted,
    # Google's, which are names of statuses, and of reasons among its details.
    "api_key_invalid": AuthFailed,
    "billing_disabled": QuotaExhausted,
    QUOTA_PER_DAY: QuotaExhausted,
    "deadline_exceeded": Timeout,
}

# Codes that stand in for a status where there is none: in a 200, or in the middle of a stream.
BY_CODE_ALONE: Mapping[str, type[ProviderError]] = {
    **BY_CODE,
    "rate_limit_exceeded": RateLimited,
    "rate_limit_error": RateLimited,
    "resource_exhausted": RateLimited,
    "overloaded_error": Overloaded,
    "server_is_overloaded": Overloaded,
    "slow_down": Overloaded,
    "service_unavailable_error": Overloaded,
    "server_error": Unavailable,
    "internal_server_error": Unavailable,
    "api_error": Unavailable,
    "timeout": Timeout,
    "timeout_error": Timeout,
    "conflict_error": Unavailable,
    "not_found_error": ModelNotFound,
    "request_too_large": BadRequest,
    "invalid_request_error": BadRequest,
    "invalid_prompt": BadRequest,
    "invalid_api_key": AuthFailed,
    "authentication_error": AuthFailed,
    "permission_error": AuthFailed,
    "permission_denied": AuthFailed,
    "unauthenticated": AuthFailed,
    "invalid_argument": BadRequest,
    "not_found": ModelNotFound,
    "unavailable": Overloaded,
    "internal": Unavailable,
}

# Vendors without a code for it say it in words.
TOO_LONG = re.compile(
    r"maximum context length|context length|context window|context size|prompt is too long"
    r"|input token count .* exceeds|too many (?:input )?tokens|too large for model"
    r"|reduce the length of (?:the|your) (?:messages|prompt|input)|exceed context limit",
    re.IGNORECASE,
)
NO_MONEY = re.compile(r"credit balance is too low", re.IGNORECASE)
FILTERED = re.compile(r"blocked by content filtering", re.IGNORECASE)
NEVER_FITS = re.compile(r"request too large", re.IGNORECASE)
BY_WORDS: Mapping[int, tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = {
    400: ((NO_ACCESS, AuthFailed), (NO_MONEY, QuotaExhausted), (FILTERED, ContentFiltered)),
    429: ((NEVER_FITS, BadRequest),),
}
