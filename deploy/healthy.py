#!/usr/bin/env -S python3 -I
"""Check that a program on this host is healthy: `healthy PORT [PATH]`, for containers.

Exits with 0 if the path, `/healthz` by default, answers 200, with 1 if not, with 2 for a wrong
command line. Imports only the standard library, because it starts every few seconds.
"""

import http.client
import sys

SECONDS = 4


def main() -> int:
    """Send the request, print the answer, return the exit code."""
    arguments = sys.argv[1:]
    if len(arguments) not in (1, 2) or not arguments[0].isdecimal():
        print("usage: healthy PORT [PATH]", file=sys.stderr)  # noqa: T201 - for a person
        return 2
    connection = http.client.HTTPConnection("127.0.0.1", int(arguments[0]), timeout=SECONDS)
    try:
        connection.request("GET", arguments[1] if arguments[1:] else "/healthz")
        answer = connection.getresponse()
        print(answer.status, answer.read(200).decode(errors="replace").strip())  # noqa: T201 - as above
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0 if answer.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
