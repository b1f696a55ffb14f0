"""Names of objects and images, for every user id and every event."""

import hashlib
import re
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from safelight import keys, users

names = st.from_regex(r"[!-+\-.0-~]{1,64}", fullmatch=True)
subjects = st.from_regex(r"[ -~]{1,255}", fullmatch=True)
user_ids = (
    names.map(users.of_key)
    | subjects.map(users.of_token)
    | st.sampled_from([users.ANONYMOUS, users.ADOPTED])
)
image_ids = st.builds(keys.new_image_id)
sequencers = st.text("0123456789ABCDEFabcdef", max_size=32)
SAFE = re.compile(r"[A-Za-z0-9_/~-]+(\.[a-z0-9]+)?")


@given(user_id=user_ids, image_id=image_ids)
def test_a_source_key_is_read_back_to_who_and_what(user_id, image_id):
    key = keys.source_key(user_id=user_id, image_id=image_id)
    assert keys.read_source_key(key) == (user_id, image_id)


@given(user_id=user_ids, image_id=image_ids)
def test_a_source_key_is_plain_and_has_one_folder_for_a_user(user_id, image_id):
    key = keys.source_key(user_id=user_id, image_id=image_id)
    assert key.isascii()
    assert key.isprintable()
    assert key.count("/") == 2
    assert not {".", ".."} & set(key.split("/"))


@given(first=user_ids, second=user_ids, image_id=image_ids)
def test_two_users_never_share_a_source_key(first, second, image_id):
    assume(first != second)
    assert keys.source_key(user_id=first, image_id=image_id) != keys.source_key(
        user_id=second, image_id=image_id
    )


def test_the_longest_subject_of_openid_connect_fits_into_a_key():
    """255 ASCII characters, each written with three at most; S3 takes 1,024 bytes."""
    user_id = users.of_token("/" * users.MAX_SUBJECT_LENGTH)
    assert len(keys.source_key(user_id=user_id, image_id=keys.new_image_id())) <= 1024


def test_a_user_that_an_api_key_names_will_fit_into_a_key():
    user_id = f"{users.of_key('%' * users.MAX_NAME_LENGTH)}/{'/' * users.MAX_SUBJECT_LENGTH}"
    assert len(keys.source_key(user_id=user_id, image_id=keys.new_image_id())) <= 1024


@pytest.mark.parametrize(
    "key",
    [
        "uploads/a/01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "uploads/key%3Aa/b/01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "uploads//01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "uploads/01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "uploads/key:ab/01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "uploads/key%3Aa%2eb/01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "uploads/%FF/01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "uploads/key%3Aa/01hf7yat00v1zyqz0v1zyqz0v1",
        "uploads/key%3Aa/photo.jpg",
        "images/key%3Aa/01HF7YAT00V1ZYQZ0V1ZYQZ0V1",
        "uploads/",
        "",
    ],
)
def test_a_key_that_we_did_not_make_is_nobodys(key):
    assert keys.read_source_key(key) is None


@given(key=st.text())
def test_no_other_key_is_read_as_ours(key):
    read = keys.read_source_key(key)
    assert read is None or keys.source_key(user_id=read[0], image_id=read[1]) == key


def test_every_new_image_id_is_another_one():
    ids = {keys.new_image_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(keys.is_image_id(one) for one in ids)


@pytest.mark.parametrize("text", ["", "8" * 26, "0" * 25, "0" * 27, "I" * 26, "0" * 26 + "\n"])
def test_what_only_looks_like_an_image_id_is_none(text):
    assert not keys.is_image_id(text)


@pytest.mark.parametrize("text", ["01kaj0000000000000000000ab", "01KAJ0000000000000000000aB"])
def test_an_image_id_is_read_in_any_case(text):
    assert keys.read_image_id(text) == "01KAJ0000000000000000000AB"


@pytest.mark.parametrize("text", ["", "a.jpg", "01kaj0000000000000000000a\u0131", "i" * 26])
def test_no_other_text_is_read_as_an_image_id(text):
    assert keys.read_image_id(text) is None


@given(name=st.text())
def test_a_name_is_looked_for_in_few_spellings_itself_first(name):
    spellings = keys.spellings_of(name)
    assert spellings[0] == name
    assert len(spellings) <= 2
    assert len({unicodedata.normalize("NFC", each) for each in spellings}) == 1


@given(
    version_id=st.none() | st.text(),
    sequencer=st.none() | st.text(),
    etag=st.none() | st.text(),
)
def test_an_asset_key_is_safe_whatever_the_revision_is_called(version_id, sequencer, etag):
    revision = keys.revision_of(version_id=version_id, sequencer=sequencer, etag=etag)
    key = keys.asset_key(
        image_id=keys.new_image_id(),
        revision=revision,
        preset="small",
        fingerprint="abc123",
        extension="webp",
    )
    assert key.count("/") == 4
    assert SAFE.fullmatch(key)


@given(first=st.text(min_size=1), second=st.text(min_size=1))
def test_two_versions_never_share_a_revision(first, second):
    assume(first != second)
    assume("null" not in (first, second))
    assert keys.revision_of(version_id=first, sequencer=None, etag=None) != keys.revision_of(
        version_id=second, sequencer=None, etag=None
    )


def test_without_a_version_the_sequencer_and_the_etag_name_the_revision():
    for version_id in (None, "", "null"):
        revision = keys.revision_of(version_id=version_id, sequencer="0055AE", etag='"D41D8"')
        assert revision == "0055ae-d41d8"


@given(first=sequencers, second=sequencers)
def test_sequencers_order_as_s3_says(first, second):
    """Hexadecimal, the shorter one padded on the right with zeros."""
    width = max(len(first), len(second), 1)
    values = [int(one.ljust(width, "0"), 16) for one in (first, second)]
    padded = [keys.padded_sequencer(one) for one in (first, second)]
    assert (values[0] < values[1]) == (padded[0] < padded[1])
    assert (values[0] == values[1]) == (padded[0] == padded[1])


@given(sequencer=sequencers.filter(bool))
def test_the_next_sequencer_is_greater_and_less_than_any_that_s3_gives_later(sequencer):
    """S3's next one differs in one of its 32 digits; ours in the padding behind them."""
    padded = keys.padded_sequencer(sequencer)
    following = keys.next_sequencer(padded)
    assert padded < following < keys.next_sequencer(following)
    assert len(following) == len(padded)
    assert following[:32] == padded[:32]


def test_an_event_without_a_sequencer_is_older_than_any_with_one():
    assert keys.padded_sequencer(None) < keys.padded_sequencer("0000000001")


IMAGE_ID = "01KAJ0000000000000000000AA"


SECRET = "0a" * 16
PREFIX = keys.assets_prefix(IMAGE_ID)
words = st.text(max_size=5)


def test_the_keys_of_one_image_share_a_prefix_and_nothing_else_that_is_secret():
    """The grammar of docs/guide/delivery.md, on which the bucket's readers rely."""
    key = keys.asset_key(
        image_id=IMAGE_ID,
        revision="v1",
        preset="small",
        fingerprint="0123456789ab",
        extension="webp",
    )
    shard = hashlib.sha256(IMAGE_ID.encode()).hexdigest()[:2]
    secret = hashlib.sha256(b"2:v15:small12:0123456789ab").hexdigest()[:32]
    assert key == f"images/{shard}/{IMAGE_ID}/{secret}/small-0123456789ab.webp"


@given(
    first=st.tuples(words, words, words),
    second=st.tuples(words, words, words),
)
def test_two_keys_share_a_secret_only_if_revision_preset_and_fingerprint_are_the_same(
    first, second
):
    """However the words are cut: a word cannot borrow a letter from its neighbour."""
    secrets = {
        keys.asset_key(
            image_id=IMAGE_ID, revision=one[0], preset=one[1], fingerprint=one[2], extension="webp"
        ).split("/")[3]
        for one in (first, second)
    }
    assert len(secrets) == len({first, second})


def test_what_is_published_of_a_revision_is_a_hash_of_it_and_part_of_no_key():
    revision = "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"
    tag = keys.revision_tag(revision)
    assert tag == hashlib.sha256(revision.encode()).hexdigest()[:16]
    key = keys.asset_key(
        image_id=IMAGE_ID,
        revision=revision,
        preset="small",
        fingerprint="0123456789ab",
        extension="webp",
    )
    assert tag not in key


def test_an_asset_key_is_read_back():
    words = {
        "image_id": IMAGE_ID,
        "preset": "small-square_2",
        "fingerprint": "0123456789ab",
        "extension": "webp",
    }
    key = keys.asset_key(revision="3/L4kq", **words)
    name = keys.read_asset_key(key)
    assert name == keys.AssetName(secret=key.split("/")[3], **words)
    assert name.cache_tags == f"img-{IMAGE_ID},preset-0123456789ab"


@pytest.mark.parametrize(
    "key",
    [
        f"images/x/{SECRET}/small-0123456789ab.webp",
        f"{PREFIX}{SECRET}/small.webp",
        f"{PREFIX}{SECRET}/small-0123456789ab",
        f"{PREFIX}{SECRET}/a/small-0123456789ab.webp",
        f"{PREFIX}v1/small-0123456789ab.webp",
        f"{PREFIX}{SECRET.upper()}/small-0123456789ab.webp",
        f"images/00/{IMAGE_ID}/{SECRET}/small-0123456789ab.webp",
        f"uploads/{PREFIX.removeprefix('images/')}{SECRET}/small-0123456789ab.webp",
        "",
    ],
)
def test_no_other_key_is_read_as_an_assets(key):
    assert keys.read_asset_key(key) is None
