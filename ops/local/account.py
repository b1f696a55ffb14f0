"""The embedded AWS account, seen by its owner, and the principals in it.

It acts for the person who deploys, not for Safelight; Safelight's own calls are in `safelight/aws`.
"""

import os
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An identity with an access key."""

    access_key_id: str
    secret_access_key: str = field(repr=False)

    def environment(self, endpoint_url: str) -> dict[str, str]:
        """Return the variables with which a program acts as this principal, and nothing else."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Access to the embedded AWS as one principal."""

    endpoint_url: str
    principal: Principal

    def as_principal(self, principal: Principal) -> "Account":
        """Return access to the same account as another principal."""
        return Account(endpoint_url=self.endpoint_url, principal=principal)

    def client(self, service: str) -> Any:
        """Open a client: `async with account.client("s3") as s3`."""
        return _session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.principal.access_key_id,
            aws_secret_access_key=self.principal.secret_access_key,
            config=AioConfig(
                proxies={},
                signature_version="s3v4" if service == "s3" else None,
                s3={"addressing_style": "path"},
            ),
        )


@cache
def _session() -> Any:
    """Create the session for all clients, once: it reads the services' large descriptions.

    Ignores the profiles, configuration files and proxies of this machine: they are meant for the
    real AWS.
    """
    return AioSession(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
