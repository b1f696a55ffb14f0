"""Derives image ids from names, so that a repeat gives the same id.

A secret takes part, so that others cannot compute ids. With a public preset, not knowing the id is
the only thing that protects a picture.
"""

import hmac
from dataclasses import dataclass, field
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator
from ulid import ULID

from safelight import keys
from safelight.secret_length import check_length
from safelight.settings import Settings

LEAST_SECRET_LENGTH = 32


@dataclass(frozen=True, slots=True)
class ImageIds:
    """Derives image ids with the secret of the deployment."""

    secret: str = field(repr=False)

    def of_request(self, *, user_id: str, idempotency_key: str) -> str:
        """Return the image id for a user's Idempotency-Key."""
        return self._derived("idempotency-key", user_id, idempotency_key)

    def of_upload(self, *, user_id: str, image_id: str, idempotency_key: str) -> str:
        """Return the name of the upload of an image that a user's Idempotency-Key requested."""
        return self._derived("upload", user_id, image_id, idempotency_key)

    def of_object(self, *, bucket: str, key: str) -> str:
        """Return the image id of an object that was stored without the upload API."""
        return self._derived("object", bucket, key)

    def of_source(self, *, bucket: str, key: str) -> tuple[str, ...]:
        """Return the ids that the image of a source may have: of its key, and of its adoption."""
        uploaded = keys.read_source_key(key)
        adopted = self.of_object(bucket=bucket, key=key)
        return (uploaded[1], adopted) if uploaded else (adopted,)

    def _derived(self, *words: str) -> str:
        text = "\n".join(quote(word, safe="") for word in words)
        return str(ULID.from_bytes(hmac.digest(self.secret.encode(), text.encode(), "sha256")[:16]))


class IdSettings(Settings):
    """Settings of every program that derives image ids."""

    id_secret: SecretStr = Field(
        description="The secret for deriving image ids, at least "
        f"{LEAST_SECRET_LENGTH} characters, the same for API, delivery and workers. Never change "
        "it: with another secret a repeated Idempotency-Key creates a second image.",
    )

    @field_validator("id_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        check_length(secret.get_secret_value(), least=LEAST_SECRET_LENGTH)
        return secret

    @property
    def image_ids(self) -> ImageIds:
        """The image ids of this deployment."""
        return ImageIds(self.id_secret.get_secret_value())
