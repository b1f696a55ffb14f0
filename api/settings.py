"""The settings of the API. Each is declared once, with its meaning."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from api.apikeys import ApiKeys
from api.delivery.signing import SigningKeys
from api.dialects.table import DialectSettings
from api.origins import ANY, check_origin
from api.pages.settings import PagesSettings
from safelight import users
from safelight.aws.settings import AwsSettings
from safelight.image_ids import IdSettings
from safelight.imaging.settings import RenderSettings
from safelight.retention import RetentionSettings
from safelight.secret_length import LEAST_SECRET_LENGTH
from safelight.serving import is_loopback, is_safe_url
from safelight.settings import CommaSeparated

S3_MAX_UPLOAD_BYTES = 5 * 1024**3
"""The largest object that S3 takes in one POST or PUT, in bytes."""


UPLOADS, DELIVERY, PAGES = "uploads", "delivery", "pages"
ROLES = (UPLOADS, DELIVERY, PAGES)


class DeliverySettings(RenderSettings, DialectSettings):
    """The settings of the role `delivery`, besides those of every renderer."""

    signing_keys: SecretStr | None = Field(
        default=None,
        description="Keys that sign delivery URLs, as `id:secret` or `id:secret:user` with "
        f"commas between them. A secret has at least {LEAST_SECRET_LENGTH} characters. The first "
        "key signs, all are accepted. A user is a user id, such as `key:alice`.",
    )
    picture_cors_origins: CommaSeparated = Field(
        default=(ANY,),
        description="The exact web origins whose scripts may read delivered pictures, with commas "
        "between them; `*` for all, empty for none. Pages can show pictures in any case.",
    )
    render_queue: int = Field(
        default=16,
        ge=0,
        le=10_000,
        description="On-demand renders that may wait for a slot; further requests get 503.",
    )
    render_wait_seconds: float = Field(
        default=10,
        gt=0,
        le=300,
        description="How long an on-demand render may wait for a slot before the answer is 503.",
    )
    aliases: Path | None = Field(
        default=None,
        description="The file that declares aliases: names for objects in other buckets.",
    )
    renders_per_minute: int = Field(
        default=600,
        ge=1,
        description="Renders a minute that the URLs signed by one key may cause in one process.",
    )
    renders_queue_url: str | None = Field(
        default=None,
        description="The URL of RendersQueue. Its workers then render costly AVIFs; until they are "
        "done, viewers get another format. Without it viewers wait for the AVIF.",
    )
    avif_wait_pixels: int = Field(
        default=1_000_000,
        ge=0,
        description="The size in pixels from which the workers render AVIFs.",
    )
    options_max_age: int = Field(
        default=3600,
        ge=0,
        le=31_536_000,
        description="Seconds that caches may keep the answer to a free-form URL, unless the URL "
        "sets a time itself.",
    )
    max_result_bytes: int = Field(
        default=32 * 1024**2, ge=1, description="The largest picture that is delivered, in bytes."
    )
    cache_bytes: int = Field(
        default=32 * 1024**2,
        ge=0,
        description="The memory for recently delivered pictures of up to 512 KiB, in bytes.",
    )

    @field_validator("signing_keys")
    @classmethod
    def _readable_signing_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None and not SigningKeys.read(keys.get_secret_value()):
            raise ValueError("names no key; leave it unset to have none")
        return keys

    @property
    def signing(self) -> SigningKeys:
        """The keys that sign delivery URLs."""
        return SigningKeys.read(self.signing_keys.get_secret_value() if self.signing_keys else "")


class ApiSettings(PagesSettings, DeliverySettings, AwsSettings, IdSettings, RetentionSettings):
    """The settings of `python -m api`."""

    api_roles: CommaSeparated = Field(
        default=(UPLOADS,),
        description="The roles of this process: `uploads` (upload URLs and images), `delivery` "
        "(pictures) and `pages` (the pages for browsers below `/ui/`, which need `uploads`), with "
        "commas between them.",
    )
    oidc_audience: CommaSeparated = Field(
        default=(),
        description="The accepted audiences of tokens: `aud`, or Cognito's client id; several with "
        "commas between them.",
    )
    oidc_issuer: str | None = Field(
        default=None, description="The OpenID Connect issuer whose tokens are accepted."
    )
    oidc_jwks_url: str | None = Field(
        default=None,
        description="The URL of the issuer's signing keys; by default the issuer announces it.",
    )
    oidc_client_id: str | None = Field(
        default=None,
        description="The client id of the pages at the issuer. With it, users sign in there. It "
        "needs `SAFELIGHT_PAGES_URL`, and `PAGES_URL/ui/callback` as a redirect URI at the issuer.",
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None,
        description="The secret of that client; unset for a public client. PKCE is used in any "
        "case.",
    )
    oidc_discovery_url: str | None = Field(
        default=None,
        description="The URL of the issuer's configuration document; by default "
        "`ISSUER/.well-known/openid-configuration`.",
    )
    api_keys: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="API keys as `name:sha256`, or as `name:sha256:RATE` to limit upload URLs a "
        "minute in one process, with commas between them. `:users` at the end lets requests with "
        "the key name their user. `python -m api --new-key NAME` makes one. Its user id is "
        "`key:NAME`.",
    )
    admins: CommaSeparated = Field(
        default=(),
        description="The user ids of admins, with commas between them, such as `key:support`: they "
        "may list, read, change and erase the images of all users.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="The address to listen on. An address beyond loopback needs authentication. "
        "Without authentication, only requests with a loopback Host are answered.",
    )
    port: int = Field(default=8080, ge=0, le=65_535, description="The port; 0 takes a free one.")
    max_upload_bytes: int = Field(
        default=64 * 1024**2,
        ge=1,
        le=S3_MAX_UPLOAD_BYTES,
        description="The largest source that an upload URL is issued for, in bytes.",
    )
    url_seconds: int = Field(
        default=900,
        ge=60,
        le=43_200,
        description="How long presigned URLs are valid; no longer than the credentials that sign "
        "them.",
    )
    uploads_per_minute: int = Field(
        default=120,
        ge=1,
        description="Upload URLs a minute for the user of a token, in one process. An API key has "
        "no limit unless its definition sets one.",
    )
    erasures_per_minute: int = Field(
        default=600,
        ge=100,
        description="Images a minute that the user of a token may erase, in one process. API keys "
        "have no limit.",
    )
    urls_per_minute: int = Field(
        default=60,
        ge=1,
        description="Requests to sign URLs a minute for the user of a token, in one process. API "
        "keys have no limit.",
    )
    cleanup_queue_url: str | None = Field(
        default=None,
        description="The URL of CleanupQueue. With it, users may erase their images; without it, "
        "the API has no routes for that.",
    )
    watches: int = Field(
        default=500,
        ge=1,
        le=100_000,
        description="Requests that may wait for changes of images at once, in one process: streams "
        "of events, and answers with `Prefer: wait`.",
    )
    watches_per_user: int = Field(
        default=20,
        ge=1,
        description="Requests of one user that may wait for changes at once, in one process.",
    )
    delivery_url: str | None = Field(
        default=None,
        description="The base URL of variants, such as a CloudFront distribution's; by default "
        "their URLs are presigned.",
    )
    originals: bool = Field(
        default=False,
        description="Whether owners may download the sources of their images. The API's role then "
        "needs s3:GetObject on uploads/*.",
    )
    cors_origins: CommaSeparated = Field(
        default=(),
        description="The exact web origins whose pages may call the API, with commas between them, "
        "such as `https://app.example.com,capacitor://localhost`; none by default.",
    )

    @field_validator(
        "oidc_audience",
        "admins",
        "cors_origins",
        "picture_cors_origins",
        "api_roles",
        mode="before",
    )
    @classmethod
    def _split(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        return tuple(word.strip() for word in text.split(",") if word.strip())

    @field_validator("api_roles")
    @classmethod
    def _known_roles(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        if not roles or not set(roles) <= set(ROLES):
            raise ValueError("must be uploads, delivery, pages, or several, separated by commas")
        if PAGES in roles and UPLOADS not in roles:
            raise ValueError("the role pages needs the role uploads in the same process")
        return roles

    @field_validator("oidc_issuer", "api_keys")
    @classmethod
    def _has_session_keys(
        cls, given: str | SecretStr | None, info: ValidationInfo
    ) -> str | SecretStr | None:
        pages = PAGES in info.data.get("api_roles", ())
        if given is not None and pages and info.data.get("session_keys", True) is None:
            raise ValueError(
                "needs SAFELIGHT_SESSION_KEYS too: the role pages seals the sessions of users who "
                "sign in"
            )
        return given

    @field_validator("admins")
    @classmethod
    def _known_clients(cls, admins: tuple[str, ...]) -> tuple[str, ...]:
        for admin in admins:
            if not users.is_user_id(admin) or admin in (users.ANONYMOUS, users.ADOPTED):
                raise ValueError(
                    "must be user ids with commas between them: key:NAME, key:NAME/USER or oidc:SUB"
                )
        return admins

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(check_origin, origins))

    @field_validator("picture_cors_origins")
    @classmethod
    def _any_or_exact(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return origins if origins == (ANY,) else tuple(map(check_origin, origins))

    @field_validator("oidc_issuer", "oidc_jwks_url", "oidc_discovery_url")
    @classmethod
    def _secure(cls, url: str | None) -> str | None:
        if url is not None and not is_safe_url(url):
            raise ValueError("must be an https:// URL (http:// only for a loopback address)")
        return url

    @field_validator("oidc_issuer")
    @classmethod
    def _has_audience(cls, issuer: str | None, info: ValidationInfo) -> str | None:
        if issuer and not info.data.get("oidc_audience", True):
            raise ValueError(
                "needs SAFELIGHT_OIDC_AUDIENCE too; without it every token of the issuer would be "
                "accepted, for any audience"
            )
        return issuer

    @field_validator("oidc_jwks_url", "oidc_discovery_url", "oidc_client_id")
    @classmethod
    def _has_issuer(cls, given: str | None, info: ValidationInfo) -> str | None:
        if given and not info.data.get("oidc_issuer", True):
            raise ValueError("needs SAFELIGHT_OIDC_ISSUER too")
        return given

    @field_validator("oidc_client_id")
    @classmethod
    def _has_pages_url(cls, client_id: str | None, info: ValidationInfo) -> str | None:
        if client_id and not info.data.get("pages_url", True):
            raise ValueError("needs SAFELIGHT_PAGES_URL too: the issuer sends users back to it")
        return client_id or None

    @field_validator("api_keys")
    @classmethod
    def _readable_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None and not ApiKeys.read(keys.get_secret_value()).keys:
            raise ValueError("names no key; leave it unset to have none")
        return keys

    @field_validator("api_keys")
    @classmethod
    def _lets_users_sign_in(cls, keys: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        known = ApiKeys.read(keys.get_secret_value() if keys else "").keys
        authenticated = keys is not None or info.data.get("oidc_issuer")
        pages = PAGES in info.data.get("api_roles", ()) and authenticated
        by_key = any(not key.names_users for key in known)
        if pages and not by_key and not info.data.get("oidc_client_id", True):
            raise ValueError(
                "the role pages needs a way to sign in: set SAFELIGHT_OIDC_CLIENT_ID, or an API "
                "key without `:users`"
            )
        return keys

    @field_validator("host")
    @classmethod
    def _safe(cls, host: str, info: ValidationInfo) -> str:
        # An invalid setting is missing from the data, but the operator meant to set it.
        # Delivery needs no authentication: it checks the signatures of its URLs.
        only_delivers = set(info.data.get("api_roles", ())) == {DELIVERY}
        authenticated = any(info.data.get(name, True) for name in ("oidc_issuer", "api_keys"))
        if not is_loopback(host) and not only_delivers and not authenticated:
            raise ValueError(
                "without authentication this must be a loopback address such as 127.0.0.1; "
                "set SAFELIGHT_OIDC_ISSUER and SAFELIGHT_OIDC_AUDIENCE, or SAFELIGHT_API_KEYS"
            )
        pages = PAGES in info.data.get("api_roles", ())
        if pages and not is_loopback(host) and not info.data.get("pages_url", True):
            raise ValueError("beyond loopback the role pages needs SAFELIGHT_PAGES_URL too")
        return host

    @field_validator("delivery_url")
    @classmethod
    def _delivery(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://unset")
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise ValueError("must be an http:// or https:// URL without a query")
        return url.rstrip("/") if url else None

    @property
    def keys(self) -> ApiKeys:
        """The accepted API keys."""
        return ApiKeys.read(self.api_keys.get_secret_value() if self.api_keys else "")

    @property
    def serves_pages(self) -> bool:
        """Whether this process serves the pages for browsers."""
        return PAGES in self.api_roles

    @property
    def loopback_names_only(self) -> bool:
        """Whether only requests with a loopback Host are answered, because anyone may upload."""
        return self.anonymous and UPLOADS in self.api_roles

    @property
    def anonymous(self) -> bool:
        """Whether requests need no credentials."""
        return self.oidc_issuer is None and self.api_keys is None
