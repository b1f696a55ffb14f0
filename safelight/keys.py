"""Names of objects and images. Pure: the same words always make the same key.

    uploads/{userId}/{imageId}                                           a source, uploads bucket
    images/{hh}/{imageId}/{secret}/{preset}-{fingerprint}.{extension}    an asset, asset bucket

An asset's key never changes its meaning: a repeat overwrites itself with the same bytes, and a late
worker cannot touch a newer revision.

Every asset key is its own secret: whoever knows one key of an image cannot work out another.
'hh' is a hash of the image id and spreads keys over S3's partitions; all assets of an image are
listed by `assets_prefix`.
"""

import re
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
"""The form of an image id, as JSON Schema writes patterns."""
_IMAGE_ID = re.compile(IMAGE_ID)
_ASSET_KEY = re.compile(
    rf"{ASSETS_PREFIX}[0-9a-f]{{2}}/(?P<image_id>[^/]+)/(?P<secret>[0-9a-f]{{32}})"
    r"/(?P<preset>[a-z][a-z0-9_-]*)-(?P<fingerprint>[0-9a-f]{12}(?:[0-9a-f]{12})?)"
    r"\.(?P<extension>[a-z]+)"
)


def new_image_id() -> str:
    """Make a fresh image id: a ULID, 26 characters, sortable by time."""
    return str(ULID())


def is_image_id(text: str) -> bool:
    """Tell whether the text has the form of an image id."""
    return _IMAGE_ID.fullmatch(text) is not None


def source_key(*, user_id: str, image_id: str) -> str:
    """Name the source object of an image. The user id is percent-encoded, dots included."""
    return f"{UPLOADS_PREFIX}{_folder_of(user_id)}/{image_id}"


def read_source_key(key: str) -> tuple[str, str] | None:
    """Read (user id, image id) back from a key that `source_key` made; None from any other."""
    folder, _, image_id = key.removeprefix(UPLOADS_PREFIX).rpartition("/")
    user_id = _user_of(folder)
    if not key.startswith(UPLOADS_PREFIX) or user_id is None or not is_image_id(image_id):
        return None
    return user_id, image_id


def owner_of(key: str) -> str:
    """Return the user whose folder holds an object, `(adopted)` for any other folder.

    A folder is a user's only if it is exactly that user id, percent-encoded: a sync of `alice/`
    makes no user.
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
    """Return the key of one variant of one revision, as one definition of its preset makes it."""
    secret = _secret(revision, preset, fingerprint)
    return f"{assets_prefix(image_id)}{secret}/{preset}-{fingerprint}.{extension}"


def assets_prefix(image_id: str) -> str:
    """Return the prefix that every asset key of an image begins with, and no other key."""
    return f"{ASSETS_PREFIX}{sha256(image_id.encode()).hexdigest()[:2]}/{image_id}/"


def _secret(*words: str) -> str:
    """Hash words so that no other words give the same: each is preceded by its length in bytes."""
    digest = sha256()
    for word in (word.encode() for word in words):
        digest.update(b"%d:" % len(word) + word)
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetName:
    """What an asset's key says."""

    image_id: str
    secret: str
    preset: str
    fingerprint: str
    extension: str

    @property
    def cache_tags(self) -> str:
        """Name what a cache may be told to forget together: an image, a definition of a preset.

        As CloudFront reads them: visible ASCII without commas, with a comma between two.
        """
        return f"img-{self.image_id},preset-{self.fingerprint}"


def read_asset_key(key: str) -> AssetName | None:
    """Read an asset key; None if it does not have the form that `asset_key` gives.

    The secret is only read, not checked: that takes the image's record.
    """
    found = _ASSET_KEY.fullmatch(key)
    if found is None or not is_image_id(found["image_id"]):
        return None
    return (
        AssetName(**found.groupdict()) if key.startswith(assets_prefix(found["image_id"])) else None
    )


def revision_of(*, version_id: str | None, sequencer: str | None, etag: str | None) -> str:
    """Name a version of the source: its version id, or its sequencer and ETag without one.

    Every asset key of the image can be computed from it, so it must never become public: use
    `revision_tag` in completions, logs and traces.
    """
    if version_id and version_id != "null":
        return version_id
    return "-".join(part.strip('"').lower() for part in (sequencer, etag) if part) or "unversioned"


def revision_tag(revision: str) -> str:
    """Return what may be published of a revision: 16 hexadecimal characters of its SHA-256."""
    return sha256(revision.encode()).hexdigest()[:16]


def padded_sequencer(sequencer: str | None) -> str:
    """Write a sequencer so that later ones compare greater as text.

    S3 documents it as hexadecimal, ordered after padding the shorter one on the right with zeros.
    An event without one is older than any with one, and so is an event whose sequencer has another
    form: text that sorts after every hexadecimal number would freeze its image for good.
    """
    known = sequencer if sequencer and _SEQUENCER.fullmatch(sequencer) else ""
    return known.upper().ljust(SEQUENCER_WIDTH, "0")


def next_sequencer(sequencer: str) -> str:
    """Return the least padded sequencer that is greater: less than any that S3 gives later."""
    return f"{int(sequencer, 16) + 1:0{SEQUENCER_WIDTH}X}"
