"""What the errors of botocore, aiobotocore and aiohttp mean: the one table. Pure.

Sorted as `safelight.errors` sorts: time puts right what is `Unavailable`, a person what is
`Misconfigured`. An answer with neither a known code nor a status that says so is `Refused`: it
names a fault of ours, and must not pass for a wrong setting, since that would stop the worker.
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
"""Everything that a call may raise and that is not ours. Of `OSError` only what a network raises,
so that a full disk is not taken for a service that is down."""

_TRANSIENT = (
    # throttled
    "BandwidthLimitExceeded", "KMSThrottling", "KmsThrottled", "LimitExceededException",
    "OverLimit", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
    "RequestThrottled", "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling",
    "ThrottlingException", "TooManyRequestsException",
    # a fault of theirs
    "InternalError", "InternalErrorException", "InternalFailure", "InternalServerError",
    "ServiceUnavailable", "ServiceUnavailableException",
    # in the way of another request
    "ConditionalRequestConflict", "OperationAborted", "PriorRequestNotComplete",
    "ReplicatedWriteConflictException", "TransactionConflictException",
    "TransactionInProgressException",
    # damaged on the way
    "BadDigest", "IncompleteBody", "RequestTimeout", "RequestTimeoutException",
    "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch",
    # credentials that refresh themselves
    "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired",
)  # fmt: skip
_WRONG = (
    # who we are
    "AccountProblem", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
    "InvalidSecurity", "InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException", "NotSignedUp", "OptInRequired", "RequestTimeTooSkewed",
    "SignatureDoesNotMatch", "UnrecognizedClientException",
    # what we may do
    "403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled",
    "AuthorizationError", "AuthorizationErrorException", "Forbidden", "UnauthorizedAccess",
    # the names and the region we were told
    "301", "AWS.SimpleQueueService.NonExistentQueue", "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException", "InvalidBucketName", "NoSuchBucket", "NotFound",
    "NotFoundException", "PermanentRedirect", "QueueDoesNotExist", "ResourceNotFoundException",
    # the keys that things are encrypted with
    "KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException",
    "KMSAccessDenied", "KMSAccessDeniedException", "KMSDisabled", "KMSDisabledException",
    "KMSInvalidState", "KMSInvalidStateException", "KMSNotFound", "KMSNotFoundException",
    "KMSOptInRequired", "KmsAccessDenied", "KmsDisabled", "KmsInvalidKeyUsage", "KmsInvalidState",
    "KmsNotFound", "KmsOptInRequired",
)  # fmt: skip
CODES: Mapping[str, Kind] = MappingProxyType(
    {**dict.fromkeys(_TRANSIENT, Unavailable), **dict.fromkeys(_WRONG, Misconfigured)}
)
"""What a service answered, by its code."""

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
"""What never became an answer, first match first."""

LABELS = frozenset({*CODES, *(code for _, code, _ in _RAISED)})
"""Every value of the metric label `code`: a closed set."""


def code_of(error: Exception) -> str:
    """Name an error: the service's own code, or a word for what came in the way of an answer."""
    if isinstance(error, botocore.ClientError):
        return str(error.response.get("Error", {}).get("Code", "other"))
    return next(code for kind, code, _ in _RAISED if isinstance(error, kind))


def translated(error: Exception, *, dependency: str, call: str) -> Failure:
    """Say in our words what a foreign error means; `call` names operation and resource."""
    detail = f"{call}: {error}" if str(error) else f"{call}: {type(error).__name__}"
    return _kind_of(error)(dependency, detail)


def _kind_of(error: Exception) -> Kind:
    if not isinstance(error, botocore.ClientError):
        return next(kind for foreign, _, kind in _RAISED if isinstance(error, foreign))
    if (kind := CODES.get(code_of(error))) is not None:
        return kind
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return Unavailable if status >= 500 or status in (408, 429) else Refused
