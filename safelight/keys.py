"""Object keys and image ids. Pure: the same arguments always give the same key.

    uploads/{userId}/{imageId}                                           a source, uploads bucket
    images/{hh}/{imageId}/{secret}/{preset}-{fingerprint}.{extension}    an asset, asset bucket

An asset key never changes its meaning. A repeated render overwrites the asset with the same bytes,
and a late worker cannot touch a newer revision.

Asset keys cannot be guessed: from one key of an image no other one can be computed.
'hh' is a hash of the image id that spreads keys over S3's partitions. `assets_prefix` lists all
assets of an image.
"""

import re
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, unquote

from ulid import ULID

from safelight import users

UPLOADS_PREFIX = "uploads/"
ASSETS_PREFIX = "images/"
SEQUENCER_WIDTH = 40

_SEQUENCER = re.compile(r"[0-9A-Fa-f]{1,32}")
IMAGE_ID = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
"""The pattern of an image id, in the syntax of JSON Schema."""
_IMAGE_ID = re.compile(IMAGE_ID)
_UNSAFE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories that no name may contain: controls, surrogates, line separators."""
_ASSET_KEY = re.compile(
    rf"{ASSETS_PREFIX}[0-9a-f]{{2}}/(?P<image_id>[^/]+)/(?P<secret>[0-9a-f]{{32}})"
    r"/(?P<preset>[a-z][a-z0-9_-]*)-(?P<fingerprint>[0-9a-f]{12}(?:[0-9a-f]{12})?)"
    r"\.(?P<extension>[a-z]+)"
)


def new_image_id() -> str:
    """Return a new image id: a ULID, 26 characters, sortable by time."""
    return str(ULID())


def made_at(image_id: str) -> float:
    """Return when an id was made, in seconds since 1970, as the id itself says."""
    return ULID.from_str(image_id).timestamp


def is_image_id(text: str) -> bool:
    """Return whether the text has the form of an image id."""
    return _IMAGE_ID.fullmatch(text) is not None


def read_image_id(text: str) -> str | None:
    """Return an image id that is written in any case; None for any other text."""
    upper = text.upper()
    return upper if text.isascii() and is_image_id(upper) else None


def is_object_name(text: str) -> bool:
    """Return whether a URL may name an object so: it is safe to log, and no client resolves it.

    It has no control characters and no line separators. Empty parts are allowed: S3 keeps
    `a//b.jpg` and `a/b.jpg` apart.
    """
    if not text or any(part in (".", "..") for part in text.split("/")):
        return False
    return not any(unicodedata.category(each) in _UNSAFE for each in text)


def spellings_of(name: str) -> tuple[str, ...]:
    """List the Unicode spellings under which an object may be stored, the given one first.

    macOS may take letters and accents apart (NFD); browsers and other systems keep them composed
    (NFC). A name that mixes both is only tried as it is: otherwise one object would have many URLs.
    """
    composed, apart = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
    if name not in (composed, apart):
        return (name,)
    return tuple(dict.fromkeys((name, composed, apart)))


def source_key(*, user_id: str, image_id: str) -> str:
    """Return the key of an image's source. The user id is percent-encoded, including dots."""
    return f"{UPLOADS_PREFIX}{_folder_of(user_id)}/{image_id}"


def read_source_key(key: str) -> tuple[str, str] | None:
    """Return (user id, image id) of a key made by `source_key`; None for any other key."""
    folder, _, image_id = key.removeprefix(UPLOADS_PREFIX).rpartition("/")
    user_id = _user_of(folder)
    if not key.startswith(UPLOADS_PREFIX) or user_id is None or not is_image_id(image_id):
        return None
    return user_id, image_id


def owner_of(key: str) -> str:
    """Return the user whose folder holds an object, or `(adopted)` for any other folder.

    A folder belongs to a user only if its name is exactly that user id, percent-encoded. Copying
    files to `alice/` therefore creates no user.
    """
    folder, slash, _ = key.removeprefix(UPLOADS_PREFIX).partition("/")
    return (_user_of(folder) if slash else None) or users.ADOPTED


def _folder_of(user_id: str) -> str:
    return quote(user_id, safe="").replace(".", "%2E")


def _user_of(folder: str) -> str | None:
    user_id = unquote(folder)
    return user_id if users.is_user_id(user_id) and _folder_of(user_id) == folder else None


def asset_key(
    *, image_id: str, revision: str, preset: str, fingerprint: str, extension: str
) -> str:
    """Return the key of a variant: one revision, rendered by one definition of a preset."""
    secret = _secret(revision, preset, fingerprint)
    return f"{assets_prefix(image_id)}{secret}/{preset}-{fingerprint}.{extension}"


def assets_prefix(image_id: str) -> str:
    """Return the prefix of all asset keys of an image. No other key begins with it."""
    return f"{ASSETS_PREFIX}{sha256(image_id.encode()).hexdigest()[:2]}/{image_id}/"


def _secret(*words: str) -> str:
    """Hash words unambiguously: each is preceded by its length in bytes."""
    digest = sha256()
    for word in (word.encode() for word in words):
        digest.update(b"%d:" % len(word) + word)
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetName:
    """The parts of an asset key."""

    image_id: str
    secret: str
    preset: str
    fingerprint: str
    extension: str

    @property
    def cache_tags(self) -> str:
        """The tags for invalidating caches by image, or by definition of a preset.

        In CloudFront's syntax: visible ASCII, separated by commas.
        """
        return f"img-{self.image_id},preset-{self.fingerprint}"


def read_asset_key(key: str) -> AssetName | None:
    """Return the parts of an asset key, or None if `asset_key` cannot have made it.

    The secret is not checked, because that needs the image's record.
    """
    found = _ASSET_KEY.fullmatch(key)
    if found is None or not is_image_id(found["image_id"]):
        return None
    return (
        AssetName(**found.groupdict()) if key.startswith(assets_prefix(found["image_id"])) else None
    )


def revision_of(*, version_id: str | None, sequencer: str | None, etag: str | None) -> str:
    """Identify a version of the source: by its version id, or else by its sequencer and ETag.

    Every asset key of the image can be computed from a revision, so it must never become public.
    Use `revision_tag` in completions, logs and traces.
    """
    if version_id and version_id != "null":
        return version_id
    return "-".join(part.strip('"').lower() for part in (sequencer, etag) if part) or "unversioned"


def revision_tag(revision: str) -> str:
    """Return the public identifier of a revision: 16 hexadecimal characters of its SHA-256."""
    return sha256(revision.encode()).hexdigest()[:16]


def padded_sequencer(sequencer: str | None) -> str:
    """Pad a sequencer so that later ones compare greater as text.

    S3 documents it as hexadecimal, compared after padding the shorter one on the right with zeros.
    An event without a sequencer counts as older than any with one. So does a malformed sequencer:
    text that sorts after every hexadecimal number would block all later updates of its image.
    """
    known = sequencer if sequencer and _SEQUENCER.fullmatch(sequencer) else ""
    return known.upper().ljust(SEQUENCER_WIDTH, "0")


def next_sequencer(sequencer: str) -> str:
    """Return the next greater padded sequencer, which is less than any that S3 issues later."""
    return f"{int(sequencer, 16) + 1:0{SEQUENCER_WIDTH}X}"
