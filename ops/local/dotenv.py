"""Writes `.env` for docker-compose.yml, with random keys.

    python3 ops/local/dotenv.py

Needs only Python, because a machine with Docker need not have Safelight installed. Never replaces a
file, because running containers use its keys.
"""

import os
import secrets
import sys
from hashlib import sha256
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / ".env"
MODE = 0o600


def written() -> str:
    """Return the file's text with new random keys."""
    api_key = f"sl_{secrets.token_urlsafe(32)}"
    return f"""\
# Written by `make env`. docker-compose.yml passes each variable on to the services that need it.

# The owner of the embedded AWS account. No policy limits it; every program gets its own keys.
EMULATOR_ACCESS_KEY_ID=AKIA{secrets.token_hex(8).upper()}
EMULATOR_SECRET_ACCESS_KEY={secrets.token_urlsafe(30)}

# Your key for uploads, and name:sha256 of the key for the api. Its user id is key:local.
API_KEY={api_key}
SAFELIGHT_API_KEYS=local:{sha256(api_key.encode()).hexdigest()}

# Seals the cookies of the pages.
SAFELIGHT_SESSION_KEYS={secrets.token_hex(32)}

# Signs delivery URLs: id:secret
SAFELIGHT_SIGNING_KEYS=local:{secrets.token_urlsafe(32)}

# Signs free-form URLs, such as those of the playground: id:secret
SAFELIGHT_OPTIONS_KEYS=local:{secrets.token_urlsafe(32)}

# The password of Grafana's user admin. Viewers need none.
GRAFANA_PASSWORD={secrets.token_urlsafe(18)}
"""


def write(path: Path) -> None:
    """Write the file, readable by its owner only. Raises `FileExistsError` if it exists."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, MODE), "w") as file:
        file.write(written())


def main() -> int:
    """Write the file and return the exit code, 1 if it exists."""
    try:
        write(FILE)
    except FileExistsError:
        print(f"{FILE} exists and was left as it is. Remove it for new keys.", file=sys.stderr)
        return 1
    print(f"Wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
