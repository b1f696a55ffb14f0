"""Translates the errors of botocore, aiobotocore and aiohttp by one table. Pure.

The kinds are those of `safelight.errors`: `Unavailable` ends by itself, `Misconfigured` needs an
operator. An unknown code with a status other than 5xx, 408 and 429 is `Refused`: a bug of ours. It
must not count as a wrong setting, because that would stop the worker.
"""

from collections.abc import Mapping
from types import MappingProxyType

import aiohttp
from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError

from safelight.errors import Misconfigured, Refused, Unavailable

Failure = Unavailable | Misconfigured | Refused
Kind = type[Unavailable] | type[Misconfigured] | type[Refused]

FOREIGN = (
    botocore.ClientError,
    botocore.BotoCoreError,
    ResponseParserError,
    aiohttp.ClientError,
    ConnectionError,
    TimeoutError,
)
"""All foreign errors that a call may raise. Of `OSError` only the network errors, so that a full
disk is not mistaken for a service that is down."""

_TRANSIENT = (
    # throttled
    "BandwidthLimitExceeded", "KMSThrottling", "KmsThrottled", "LimitExceededException",
    "OverLimit", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
    "RequestThrottled", "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling",
    "ThrottlingException", "TooManyInvalidationsInProgress", "TooManyRequestsException",
    # failures inside AWS
    "InternalError", "InternalErrorException", "InternalFailure", "InternalServerError",
    "ServiceUnavailable", "ServiceUnavailableException",
    # conflicts with another request
    "ConditionalRequestConflict", "OperationAborted", "PriorRequestNotComplete",
    "ReplicatedWriteConflictException", "TransactionConflictException",
    "TransactionInProgressException",
    # damaged in transit
    "BadDigest", "IncompleteBody", "RequestTimeout", "RequestTimeoutException",
    "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch",
    # expired credentials, which are refreshed
    "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired",
)  # fmt: skip
_WRONG = (
    # wrong credentials
    "AccountProblem", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
    "InvalidSecurity", "InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException", "NotSignedUp", "OptInRequired", "RequestTimeTooSkewed",
    "SignatureDoesNotMatch", "UnrecognizedClientException",
    # missing permissions
    "403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled",
    "AuthorizationError", "AuthorizationErrorException", "Forbidden", "UnauthorizedAccess",
    # wrong names or region in the settings
    "301", "AWS.SimpleQueueService.NonExistentQueue", "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException", "InvalidBucketName", "NoSuchBucket", "NoSuchDistribution",
    "NotFound", "NotFoundException", "PermanentRedirect", "QueueDoesNotExist",
    "ResourceNotFoundException",
    # encryption keys
    "KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException",
    "KMSAccessDenied", "KMSAccessDeniedException", "KMSDisabled", "KMSDisabledException",
    "KMSInvalidState", "KMSInvalidStateException", "KMSNotFound", "KMSNotFoundException",
    "KMSOptInRequired", "KmsAccessDenied", "KmsDisabled", "KmsInvalidKeyUsage", "KmsInvalidState",
    "KmsNotFound", "KmsOptInRequired",
)  # fmt: skip
CODES: Mapping[str, Kind] = MappingProxyType(
    {**dict.fromkeys(_TRANSIENT, Unavailable), **dict.fromkeys(_WRONG, Misconfigured)}
)
"""Kind of error by the code in a service's answer."""

_RAISED: tuple[tuple[type[Exception], str, Kind], ...] = (
    (TimeoutError, "timeout", Unavailable),
    (botocore.ReadTimeoutError, "timeout", Unavailable),
    (botocore.ConnectTimeoutError, "timeout", Unavailable),
    (botocore.HTTPClientError, "connection", Unavailable),
    (botocore.ConnectionError, "connection", Unavailable),
    (aiohttp.ClientError, "connection", Unavailable),
    (ConnectionError, "connection", Unavailable),
    (ResponseParserError, "body", Unavailable),
    (botocore.IncompleteReadError, "body", Unavailable),
    (botocore.ChecksumError, "body", Unavailable),
    (botocore.FlexibleChecksumError, "body", Unavailable),
    (botocore.CredentialRetrievalError, "credentials", Unavailable),
    (botocore.MetadataRetrievalError, "credentials", Unavailable),
    (botocore.NoCredentialsError, "credentials", Misconfigured),
    (botocore.PartialCredentialsError, "credentials", Misconfigured),
    (botocore.TokenRetrievalError, "credentials", Misconfigured),
    (botocore.SSOError, "credentials", Misconfigured),
    (botocore.BaseEndpointResolverError, "settings", Misconfigured),
    (botocore.InvalidConfigError, "settings", Misconfigured),
    (botocore.ConfigParseError, "settings", Misconfigured),
    (botocore.ConfigNotFound, "settings", Misconfigured),
    (botocore.ProfileNotFound, "settings", Misconfigured),
    (botocore.InvalidRegionError, "settings", Misconfigured),
    (Exception, "other", Refused),
)
"""Exception, code and kind of calls without a valid answer; the first match counts."""

LABELS = frozenset({*CODES, *(code for _, code, _ in _RAISED)})
"""The closed set of values of the metric label `code`."""


def code_of(error: Exception) -> str:
    """Return the code of an error: the service's own, or ours if there was no answer."""
    if isinstance(error, botocore.ClientError):
        return str(error.response.get("Error", {}).get("Code", "other"))
    return next(code for kind, code, _ in _RAISED if isinstance(error, kind))


def translated(error: Exception, *, dependency: str, call: str) -> Failure:
    """Translate a foreign error; `call` names operation and resource in its message."""
    detail = f"{call}: {error}" if str(error) else f"{call}: {type(error).__name__}"
    return _kind_of(error)(dependency, detail)


def _kind_of(error: Exception) -> Kind:
    if not isinstance(error, botocore.ClientError):
        return next(kind for foreign, _, kind in _RAISED if isinstance(error, foreign))
    if (kind := CODES.get(code_of(error))) is not None:
        return kind
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return Unavailable if status >= 500 or status in (408, 429) else Refused
