"""The settings of the pages' sign-in. Rules that need other settings are in api/settings.py."""

from pydantic import Field, SecretStr, field_validator

from api.origins import check_origin
from api.pages.seal import KEY_DIGITS, Seal
from safelight.serving import is_safe_url
from safelight.settings import Settings


class PagesSettings(Settings):
    """The settings of the role `pages`, besides those of authentication."""

    session_keys: SecretStr | None = Field(
        default=None,
        description=f"The keys that seal the cookies of the pages: {KEY_DIGITS} hexadecimal digits "
        "each, with commas between them. The first seals, all open. The role `pages` needs one, "
        "except without authentication. All processes with the role share them.",
    )
    pages_url: str | None = Field(
        default=None,
        description="The origin at which browsers open the pages, such as "
        "`https://pictures.example.com`. Needed if `SAFELIGHT_HOST` is not a loopback address, and "
        "for `SAFELIGHT_OIDC_CLIENT_ID`.",
    )

    @field_validator("session_keys")
    @classmethod
    def _readable_session_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            Seal.read(keys.get_secret_value())
        return keys

    @field_validator("pages_url")
    @classmethod
    def _safe_origin(cls, url: str | None) -> str | None:
        if not url:
            return None
        origin = check_origin(url.removesuffix("/"))
        if not is_safe_url(origin):
            raise ValueError(
                "must be an https:// origin (http:// only for a loopback address): browsers send "
                "the cookie of a session over TLS only"
            )
        return origin
