"""The settings that name AWS resources. Credentials and region come from AWS's standard chain."""

from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from safelight.settings import Settings


class AwsSettings(Settings):
    """The settings that name AWS resources, for every program that calls AWS."""

    uploads_bucket: str = Field(min_length=3, description="The bucket that clients upload to.")
    assets_bucket: str = Field(min_length=3, description="The bucket that variants are stored in.")
    table: str = Field(min_length=3, description="The DynamoDB table of images.")
    public_s3_endpoint_url: str | None = Field(
        default=None,
        description="The address of S3 in presigned URLs, as clients see it; "
        "by default the address that Safelight itself uses.",
    )

    @field_validator("public_s3_endpoint_url")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://unset")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http:// or https:// URL")
        return url

    OWN_STANDARD: ClassVar[tuple[str, ...]] = (
        "AWS_REGION",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_ENDPOINT_URL_SNS",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_REKOGNITION",
        "AWS_ENDPOINT_URL_CLOUDFRONT",
    )
    """Standard AWS variables that botocore reads and Safelight supports."""
