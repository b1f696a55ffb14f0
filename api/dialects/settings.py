"""Which dialects are answered, and with which keys. Off unless there are keys."""

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from api.dialects.aws_handler import AwsHandler
from api.dialects.imgix import Imgix
from api.dialects.imgproxy import Imgproxy
from api.dialects.own import Own
from api.dialects.table import Dialect, Dialects
from api.dialects.thumbor import Thumbor
from safelight.named_keys import read_keys
from safelight.secret_length import LEAST_SECRET_LENGTH, check_length
from safelight.settings import Settings

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_PAIR = "hexadecimal pairs key:salt, salts not empty"
_LEAST = f"secrets of at least {LEAST_SECRET_LENGTH} characters"
_WELL_KNOWN = frozenset({"MY_SECURE_KEY", "mysecret", "736563726574", "68656C6C6F"})
"""Keys that stand in the documents of thumbor, imagor and imgproxy."""


class DialectSettings(Settings):
    """Settings of the free-form URLs. Of several keys the first one signs, all are accepted."""

    options_keys: SecretStr | None = Field(
        default=None,
        description="Keys of our own free-form URLs, `/s/...`, as `id:secret` or "
        f"`id:secret:user`, separated by commas, {_LEAST}. A user is a user id, such as "
        "`key:alice`. Off without any.",
    )
    thumbor_keys: SecretStr | None = Field(
        default=None,
        description="Keys of thumbor's and imagor's URLs, `/thumbor/...`, separated by commas, "
        f"{_LEAST}. Off without any.",
    )
    thumbor_algorithm: Literal["sha1", "sha256", "sha512"] = Field(
        default="sha1", description="What thumbor's URLs are signed with; imagor offers all three."
    )
    thumbor_signature_length: int | None = Field(
        default=None, ge=20, description="Characters that imagor cuts a signature to."
    )
    imgproxy_keys: SecretStr | None = Field(
        default=None,
        description="Pairs `key:salt` of imgproxy's URLs, `/imgproxy/...`: hexadecimal, separated "
        f"by commas, keys of at least {LEAST_SECRET_LENGTH} bytes. Off without any.",
    )
    imgproxy_signature_size: int | None = Field(
        default=None, ge=12, le=32, description="Bytes that imgproxy cuts a signature to."
    )
    imgproxy_watermark: str | None = Field(
        default=None,
        pattern=r"^[^/]+/.+$",
        description="The picture that imgproxy's `wm` lays on top, as `bucket/key`.",
    )
    aws_handler_keys: SecretStr | None = Field(
        default=None,
        description="Secrets of AWS's image handler's URLs, `/aws/...`, separated by commas, "
        f"{_LEAST}. Off without any.",
    )
    imgix_keys: SecretStr | None = Field(
        default=None,
        description="Tokens of imgix's URLs, `/imgix/...`, separated by commas, "
        f"{_LEAST}. Off without any.",
    )
    root_dialect: Literal["thumbor", "imgproxy", "aws", "imgix"] | None = Field(
        default=None,
        description="The dialect that also answers without its prefix, so that URLs that clients "
        "already send keep working.",
    )

    @field_validator("options_keys")
    @classmethod
    def _own(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None:
            read_keys(given.get_secret_value())
        return _checked(given)

    @field_validator("imgproxy_keys")
    @classmethod
    def _pairs(cls, given: SecretStr | None) -> SecretStr | None:
        for key in _words(_checked(given)):
            check_length(_imgproxy_key(key))
        return given

    @field_validator("thumbor_keys", "aws_handler_keys", "imgix_keys")
    @classmethod
    def _texts(cls, given: SecretStr | None) -> SecretStr | None:
        for key in _words(_checked(given)):
            check_length(key)
        return given

    @field_validator("root_dialect")
    @classmethod
    def _has_keys(cls, name: str | None, info: ValidationInfo) -> str | None:
        field = {"aws": "aws_handler_keys"}.get(name or "", f"{name}_keys")
        if name and not info.data.get(field, True):
            raise ValueError(f"needs SAFELIGHT_{field.upper()} too")
        return name

    @property
    def dialects(self) -> Dialects:
        """The dialects that have keys."""
        return Dialects(known=tuple(self._switched_on()), root=self.root_dialect)

    def _switched_on(self) -> Iterator[Dialect]:
        if keys := _words(self.options_keys):
            yield Own(keys=keys)
        if keys := _words(self.thumbor_keys):
            yield Thumbor(
                keys=keys,
                algorithm=self.thumbor_algorithm,
                signature_length=self.thumbor_signature_length,
            )
        if keys := _words(self.imgproxy_keys):
            yield Imgproxy(
                keys=keys,
                signature_size=self.imgproxy_signature_size,
                watermark=self.imgproxy_watermark,
            )
        if keys := _words(self.aws_handler_keys):
            yield AwsHandler(keys=keys)
        if keys := _words(self.imgix_keys):
            yield Imgix(keys=keys)


def _words(given: SecretStr | None) -> tuple[str, ...]:
    text = given.get_secret_value() if given else ""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _checked(given: SecretStr | None) -> SecretStr | None:
    if given is None:
        return None
    keys = _words(given)
    if not keys:
        raise ValueError("names no key; leave it unset to have none")
    if any(part in _WELL_KNOWN for key in keys for part in (key, *key.split(":"))):
        raise ValueError("is a key that stands in public documents")
    return given


def _imgproxy_key(pair: str) -> bytes:
    secret, separator, salt = pair.partition(":")
    if not (separator and _HEX.fullmatch(secret) and _HEX.fullmatch(salt)):
        raise ValueError(f"must be {_PAIR}")
    return bytes.fromhex(secret)
