"""`safelight sign`: check a free-form URL and sign it as its dialect does."""

import json
import sys
import time

from api.dialects.dialect import Dialect
from api.dialects.errors import URL_ERRORS
from api.dialects.own import Own
from api.dialects.table import DIALECTS, Dialects, DialectSettings
from ops.exit_codes import ExitCode
from safelight.settings import InvalidSettings, variable
from safelight.wish.canonical import NOTHING


async def sign(wanted: str, *, dialect: str, expires_in: int | None, as_json: bool) -> ExitCode:
    """Print the signed path and query. Returns an exit code."""
    try:
        dialects = DialectSettings.load().dialects
        chosen = _chosen(dialects, dialect)
        if expires_in and dialect != Own.NAME:
            raise ValueError("--expires-in is for own URLs; other dialects have their own option")  # noqa: TRY301 - printed like the others
    except (InvalidSettings, ValueError) as error:
        print(error, file=sys.stderr)
        return ExitCode.UNUSABLE
    if expires_in:
        options, _, source = wanted.lstrip("/").partition("/")
        words = [word for word in options.split(",") if word != NOTHING]
        wanted = f"{','.join([*words, f'expires={int(time.time()) + expires_in}'])}/{source}"
    try:
        signed = chosen.unsigned(wanted)
        dialects.read(chosen, signed)
    except URL_ERRORS as error:
        print(error, file=sys.stderr)
        return ExitCode.REFUSED
    message = signed.messages[0]
    signature = chosen.signature(chosen.keys[0], message)
    path = chosen.join(signature, signed.target, signed.query)
    url = chosen.PREFIX.removesuffix("/") + path
    if as_json:
        print(json.dumps({"url": url, "signature": signature, "signed": message}, indent=2))
    else:
        print(url)
    return ExitCode.DONE


def _chosen(dialects: Dialects, name: str) -> Dialect:
    if name not in DIALECTS:
        raise ValueError(f"expected one of {', '.join(DIALECTS)}; found {name!r}")
    for dialect in dialects.known:
        if name == dialect.NAME:
            return dialect
    setting = variable(DIALECTS[name].KEYS)
    raise ValueError(f"{name} is not switched on: {setting} has no key")
