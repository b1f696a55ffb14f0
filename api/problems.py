"""Every problem that an answer can have: one table, and its form from RFC 9457."""

from collections.abc import Mapping, Sequence
from enum import Enum

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/problems/"
"""A problem's type is a path of the API, which explains the problem."""


class Problem(Enum):
    """A type of problem: its status, its title, and what a client can do about it."""

    MALFORMED_REQUEST = 400, "Malformed request", "Send a complete HTTP request."
    MALFORMED_JSON = 400, "Malformed JSON", "Send one JSON object in UTF-8."
    INVALID_IDEMPOTENCY_KEY = (
        400,
        "Invalid Idempotency-Key",
        "Send the header once, with 1 to 255 visible ASCII characters.",
    )
    INVALID_USER = (
        400,
        "Invalid X-Safelight-User",
        "Send the header once, with 1 to 255 printable ASCII characters.",
    )
    INVALID_URL = (
        400,
        "The URL is not understood",
        "The detail names the part that is wrong. See /openapi.json.",
    )
    UNAUTHENTICATED = (
        401,
        "Authentication is required",
        "Send `Authorization: Bearer` with a token or an API key, or `X-Api-Key`.",
    )
    INVALID_CREDENTIALS = (
        401,
        "The credentials are not accepted",
        "The detail says why. Get a new token, or use a key that is set up here.",
    )
    INVALID_SIGNATURE = (
        403,
        "The URL is not signed as it must be",
        "Sign exactly this path and query with a key that is set up here.",
    )
    USER_NOT_ALLOWED = (
        403,
        "The credential may not name a user",
        "Leave X-Safelight-User out, or use an API key whose definition ends with `:users`.",
    )
    NOT_AN_ADMIN = (
        403,
        "Only admins may do this",
        "Leave `user` out to list or erase your own images. An operator sets SAFELIGHT_ADMINS.",
    )
    CROSS_SITE = (
        403,
        "The request comes from a page of another origin",
        "Send it from a page of this server. An operator sets SAFELIGHT_CORS_ORIGINS.",
    )
    URL_EXPIRED = 403, "The URL has expired", "Get a new URL from the service that issued it."
    UNKNOWN_PATH = 404, "There is nothing here", "Compare the path with /openapi.json."
    UNKNOWN_IMAGE = (
        404,
        "No such image",
        "No image of yours has this id. An upload that never arrived is forgotten after 30 days.",
    )
    UNKNOWN_ERASURE = (
        404,
        "No such erasure",
        "Erase the image first. A receipt is kept for 90 days after the erasure is complete.",
    )
    NOT_ARRIVED = (
        404,
        "The original is not there yet",
        "Ask again once the image is completed or rejected.",
    )
    CHANGED_MEANWHILE = (
        409,
        "The image was changed meanwhile",
        "Read the image again, and decide whether your change still applies.",
    )
    ALREADY_SETTLED = (
        409,
        "The upload was processed before",
        "Read the image at `statusUrl`. To replace its picture, request a new upload of it.",
    )
    METHOD_NOT_ALLOWED = 405, "Method not allowed", "Use one that the Allow header names."
    BODY_TIMEOUT = 408, "The body did not arrive in time", "Send the body without pauses."
    IMAGE_ERASED = 410, "The image was erased", "It does not come back. Upload a new image."
    BODY_TOO_LARGE = (
        413,
        "The body is too large",
        "Send at most 16384 bytes. Pictures go to the presigned URL, not here.",
    )
    RANGE_NOT_SATISFIABLE = 416, "No such range", "Request bytes within the size in Content-Range."
    UNSUPPORTED_MEDIA_TYPE = (
        415,
        "Unsupported media type",
        "Send `Content-Type: application/json`, in UTF-8 and without a content encoding.",
    )
    MISDIRECTED = (
        421,
        "The Host header names another server",
        "Ask for localhost, 127.0.0.1 or [::1]: without authentication nothing else is answered.",
    )
    INVALID_REQUEST = 422, "The request is not valid", "`errors` names every member at fault."
    INVALID_CURSOR = 422, "The cursor is not valid", "Begin the list again, without a cursor."
    NOT_RENDERED = (
        422,
        "The picture cannot be rendered",
        "The source is at fault, and the detail says how. Upload another.",
    )
    IDEMPOTENCY_KEY_REUSED = (
        422,
        "The Idempotency-Key belongs to another request",
        "Use a new key for a new request.",
    )
    RATE_LIMITED = 429, "Too many requests", "Try again after Retry-After seconds."
    INTERNAL = 500, "Internal error", "The fault is Safelight's. Report the request id."
    MISCONFIGURED = (
        500,
        "Safelight is not set up correctly",
        "Retrying does not help until the operator has fixed the cause, which is in the log.",
    )
    BUSY = 503, "Too much is being rendered", "Try again after Retry-After seconds."
    UNAVAILABLE = 503, "Temporarily unavailable", "Try again after Retry-After seconds."

    def __init__(self, status: int, title: str, remedy: str) -> None:
        self.status = status
        self.title = title
        self.remedy = remedy

    @property
    def slug(self) -> str:
        """The stable name of the problem."""
        return self.name.lower()

    @property
    def type(self) -> str:
        """The stable URI reference of the problem."""
        return TYPE_PREFIX + self.slug


class Document(BaseModel):
    """A frozen body of an answer. Its members have names in camel case."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Fault(Document):
    """One member of a request that is at fault."""

    pointer: str = Field(description="The member: a JSON pointer as a URI fragment (RFC 6901).")
    detail: str = Field(description="Why it is refused.")
    option: str | None = Field(
        default=None, description="The word at fault, where the member holds options of a picture."
    )


class ProblemDocument(Document):
    """A problem in the form of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = Field(description="The requested path.")
    request_id: str
    status_url: str | None = Field(default=None, description="The path of the image on this API.")
    errors: tuple[Fault, ...] | None = None
    receipt_url: str | None = Field(
        default=None, description="Of an erased image: the path of the receipt on this API."
    )
    sign_in: tuple[str, ...] | None = Field(
        default=None,
        description="The ways to sign in on the pages, if a request has no credential: `oidc`, "
        "`key`.",
    )


class ProblemExplanation(Document):
    """The explanation of a problem: one row of the table."""

    type: str
    status: int
    title: str
    remedy: str


class Refusal(Exception):
    """The reason why a request is refused. It is answered as a problem."""

    def __init__(
        self,
        problem: Problem,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Fault] = (),
        status_url: str | None = None,
        receipt_url: str | None = None,
        sign_in: Sequence[str] = (),
    ) -> None:
        super().__init__(f"{problem.slug}: {detail}")
        self.problem = problem
        self.detail = detail
        self.headers = headers or {}
        self.errors = tuple(errors)
        self.status_url = status_url
        self.receipt_url = receipt_url
        self.sign_in = tuple(sign_in)

    def document(self, *, instance: str, request_id: str) -> ProblemDocument:
        """Return the problem as a document."""
        return ProblemDocument(
            type=self.problem.type,
            title=self.problem.title,
            status=self.problem.status,
            detail=self.detail,
            instance=instance,
            request_id=request_id,
            status_url=self.status_url,
            errors=self.errors or None,
            receipt_url=self.receipt_url,
            sign_in=self.sign_in or None,
        )

    def answer(self, *, instance: str, request_id: str) -> web.Response:
        """Return the answer."""
        document = self.document(instance=instance, request_id=request_id)
        return web.Response(
            status=self.problem.status,
            body=json_text(document).encode(),
            headers={"Content-Type": MEDIA_TYPE, **self.headers},
        )


def json_text(document: BaseModel) -> str:
    """Return a document as JSON in one line. Members without a value are left out."""
    return document.model_dump_json(by_alias=True, exclude_none=True)


def json_answer(
    document: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with a document as JSON. Members without a value are left out."""
    return web.Response(
        status=status,
        body=json_text(document).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )


async def explain(request: web.Request) -> web.Response:
    """Answer `GET /problems/{problem}` with the explanation of the problem."""
    slug = request.match_info["problem"]
    problem = next((problem for problem in Problem if problem.slug == slug), None)
    if problem is None:
        raise Refusal(Problem.UNKNOWN_PATH, "There is no problem of this name.")
    return json_answer(
        ProblemExplanation(
            type=problem.type, status=problem.status, title=problem.title, remedy=problem.remedy
        )
    )
