"""Makes S3's events as a bucket sends them."""

import json
from urllib.parse import quote_plus


def s3_event(
    bucket: str, *keys: str, version_id: str = "v1", sequencer: str = "0055AED6DCD90281E5"
) -> str:
    """Make the message that objects were created."""
    return json.dumps(
        {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "eventTime": "2026-11-02T03:04:05.678Z",
                    "eventName": "ObjectCreated:Post",
                    "s3": {
                        "bucket": {"name": bucket},
                        "object": {
                            "key": quote_plus(key, safe="/"),
                            "size": 1,
                            "versionId": version_id,
                            "sequencer": sequencer,
                        },
                    },
                }
                for key in keys
            ]
        }
    )
