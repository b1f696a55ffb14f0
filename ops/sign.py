"""`safelight sign`: check a URL of a preset, or a free-form URL, and sign it."""

import json
import sys
import time
from urllib.parse import parse_qsl

from api.delivery.signing import SIGNATURE
from api.dialects.dialect import Dialect
from api.dialects.errors import URL_ERRORS
from api.dialects.own import Own
from api.dialects.table import DIALECTS, Dialects
from api.dialects.writers import signed_url
from api.problems import Problem, Refusal
from api.settings import DeliverySettings
from ops.exit_codes import ExitCode
from ops.preset_urls import NAME, PresetUrls
from safelight.settings import variable
from safelight.wish.canonical import NOTHING


async def sign(
    wanted: str, *, dialect: str | None, expires_in: int | None, as_json: bool
) -> ExitCode:
    """Print the signed path and query. Returns an exit code.

    Without a dialect, a path that begins with a preset, an alias or `images` is of that kind, and
    every other path of the dialect `own`. Raises `InvalidConfiguration`.
    """
    settings = DeliverySettings.load()
    urls = PresetUrls.of(settings) if dialect in (None, NAME) else None
    if urls and (dialect == NAME or urls.has(wanted)):
        return _sign_preset(urls, wanted, expires_in=expires_in, as_json=as_json)
    unknown = urls.unknown(wanted) if urls else None
    dialect = dialect or Own.NAME
    try:
        dialects = settings.dialects
        chosen = _chosen(dialects, dialect)
        if expires_in and dialect != Own.NAME:
            raise ValueError("--expires-in is for own URLs; other dialects have their own option")  # noqa: TRY301 - printed like the others
    except ValueError as error:
        print(unknown or error, file=sys.stderr)
        return ExitCode.REFUSED if unknown else ExitCode.UNUSABLE
    if expires_in:
        options, _, source = wanted.lstrip("/").partition("/")
        words = [word for word in options.split(",") if word != NOTHING]
        wanted = f"{','.join([*words, f'expires={int(time.time()) + expires_in}'])}/{source}"
    try:
        signed = chosen.unsigned(wanted)
        dialects.read(chosen, signed)
    except URL_ERRORS as error:
        print(unknown or error, file=sys.stderr)
        return ExitCode.REFUSED
    message = signed.messages[0]
    signature = chosen.signature(chosen.keys[0], message)
    _print(signed_url(chosen, signed), signature=signature, signed=message, as_json=as_json)
    return ExitCode.DONE


def _sign_preset(
    urls: PresetUrls, wanted: str, *, expires_in: int | None, as_json: bool
) -> ExitCode:
    expires_at = int(time.time()) + expires_in if expires_in else None
    try:
        url, signed = urls.sign(wanted, expires_at=expires_at)
    except ValueError as error:
        print(error, file=sys.stderr)
        return ExitCode.UNUSABLE
    except Refusal as refusal:
        missing = refusal.problem is Problem.INVALID_SIGNATURE
        print(refusal.detail + " Add --expires-in." * missing, file=sys.stderr)
        return ExitCode.REFUSED
    signature = dict(parse_qsl(url.partition("?")[2]))[SIGNATURE]
    _print(url, signature=signature, signed=signed, as_json=as_json)
    return ExitCode.DONE


def _print(url: str, *, signature: str, signed: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"url": url, "signature": signature, "signed": signed}, indent=2))
    else:
        print(url)


def _chosen(dialects: Dialects, name: str) -> Dialect:
    if name not in DIALECTS:
        raise ValueError(f"--as must be one of {', '.join((NAME, *DIALECTS))}; found {name!r}")
    for dialect in dialects.known:
        if name == dialect.NAME:
            return dialect
    setting = variable(DIALECTS[name].KEYS)
    hint = ""
    if name == Own.NAME:
        hint = ". For the URL of a preset, begin with its name, as in small/IMAGE_ID"
    raise ValueError(f"{name} is not switched on: {setting} has no key{hint}")
