"""Signatures are those that the other systems publish, and wrong ones are explained."""

import base64
import hashlib
import hmac

import pytest

from api.dialects.aws_handler import AwsHandler
from api.dialects.errors import BadSignature, UnknownPath
from api.dialects.imgix import Imgix
from api.dialects.imgproxy import Imgproxy
from api.dialects.own import Own
from api.dialects.signatures import differences, verified, verify
from api.dialects.table import DIALECTS
from api.dialects.thumbor import Thumbor
from safelight.wish.errors import InvalidOption

GOPHER = "500x500/top/raw.githubusercontent.com/cshum/imagor/master/testdata/gopher.png"
CURIOSITY = "/rs:fill:300:400:0/g:sm/aHR0cDovL2V4YW1w/bGUuY29tL2ltYWdl/cy9jdXJpb3NpdHku/anBn.png"


@pytest.mark.parametrize(
    ("scheme", "key", "message", "signature"),
    [
        (Thumbor(keys=()), "mysecret", GOPHER, "cST4Ko5_FqwT3BDn-Wf4gO3RFSk="),
        (
            Thumbor(keys=(), algorithm="sha256", signature_length=40),
            "mysecret",
            GOPHER,
            "IGEn3TxngivD0jy4uuiZim2bdUCvhcnVi1Nm0xGy",
        ),
        (
            Thumbor(keys=()),
            "MY_SECURE_KEY",
            "300x200/smart/path/to/image.jpg",
            "3ZAFIB9OK_j_R10MafCdhFO99mE=",
        ),
        (
            Imgproxy(keys=()),
            "736563726574:68656C6C6F",
            CURIOSITY,
            "oKfUtW34Dvo2BGQehJFR4Nr0_rIjOtdtzJ3QFsUcXH8",
        ),
        (Imgix(keys=()), "FOO123bar", "/users/1.png", "6797c24146142d5b40bde3141fd3600c"),
        (
            Imgix(keys=()),
            "FOO123bar",
            "/users/1.png?w=400&h=300",
            "c7b86f666a832434dd38577e38cf86d1",
        ),
    ],
)
def test_a_signature_is_the_published_one(scheme, key, message, signature):
    assert scheme.signature(key, message) == signature


def test_the_aws_handlers_signature_is_hexadecimal_of_path_and_sorted_query():
    handler = AwsHandler(keys=("secret-of-sixteen",))
    signed = handler.unsigned("/a.jpg?width=300&format=webp")
    assert signed.messages == ("/a.jpg?format=webp&width=300",)
    expected = hmac.new(b"secret-of-sixteen", signed.messages[0].encode(), hashlib.sha256)
    assert handler.signature("secret-of-sixteen", signed.messages[0]) == expected.hexdigest()


def test_imgproxys_signature_may_be_cut_to_bytes():
    whole = Imgproxy(keys=()).signature("00:00", "/x")
    cut = Imgproxy(keys=(), signature_size=12).signature("00:00", "/x")
    assert base64.urlsafe_b64decode(f"{cut}====") == base64.urlsafe_b64decode(f"{whole}=")[:12]


KEY = "correct horse battery"
PATH = "300x200/smart/a%20b.jpg"


def thumbors(message=PATH, key=KEY):
    return Thumbor(keys=()).signature(key, message)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (thumbors(f"/{PATH}"), "leading slash"),
        (thumbors()[:-1], "without its padding"),
        (thumbors()[:20], "cut off after 20 of 28"),
        (thumbors() + "xx", "longer than the 28"),
        (thumbors().lower(), "another case"),
        (thumbors("300x200/smart/a%2520b.jpg"), "the path escaped"),
    ],
)
def test_a_wrong_signature_is_explained(given, expected):
    scheme = Thumbor(keys=("another key", KEY))
    signed = scheme.split(f"/{given}/{PATH}", "")
    (found, *_) = differences(scheme, signed)
    assert expected in found
    assert "key 2 of 2" in found


def test_plain_base64_is_told_from_the_url_safe_one():
    scheme = Own(keys=("web:" + "00" * 16,))
    message = next(
        text
        for text in (f"/_/a{number}.jpg" for number in range(99))
        if "_" in scheme.signature(scheme.keys[0], text)
    )
    plain = scheme.signature(scheme.keys[0], message).replace("_", "%2F").replace("-", "+")
    signed = scheme.split(f"/{plain}{message}", "")
    assert "alphabet" in "".join(differences(scheme, signed))


def test_what_is_like_nothing_is_left_unexplained():
    scheme = Thumbor(keys=(KEY,))
    signed = scheme.split(f"/{thumbors(key='quite another')}/{PATH}", "")
    assert list(differences(scheme, signed)) == []


SIGNERS = {
    "own": (Own(keys=("web:" + "0" * 16,)), "box=20x20/photos/a%20(b)/c.jpg"),
    "thumbor": (Thumbor(keys=(KEY,)), "20x20/photos/a%20(b).jpg"),
    "imgproxy": (Imgproxy(keys=("aa" * 16 + ":bb",)), "w:20/plain/photos/a%20b.jpg"),
    "aws": (AwsHandler(keys=(KEY,)), "photos/a.jpg?blur=2&width=20"),
    "imgix": (Imgix(keys=(KEY,)), "photos/a.jpg?w=20"),
}


def escaped(text):
    return "".join(f"%{ord(each):02x}" for each in text)


def read_url(of, path, query):
    signed = of.split(path, query)
    verify(of, signed)
    return of.read(signed)


@pytest.mark.parametrize("name", DIALECTS)
def test_one_signature_opens_no_more_urls_than_one(name):
    """Otherwise a client with one URL could fill a cache with copies."""
    of, wanted = SIGNERS[name]
    signed = of.unsigned(wanted)
    signature = of.signature(of.keys[0], signed.messages[0])
    path, _, query = of.join(signature, signed.target, signed.query).partition("?")
    assert read_url(of, path, query)
    others = [
        (path, f"{query}&x=1" if query else "x=1"),
        (path, f"&{query}"),
        (path, f"{query}&" if query else "&"),
        (path, query.replace("=20", "=%32%30") if query else "%78=1"),
        (path.replace("photos", escaped("photos")), query),
        (path.replace("a.jpg", "a%2Ejpg").replace("a%20", "%61%20"), query),
        (path.replace(signature, escaped(signature)), query.replace(signature, escaped(signature))),
        (f"/{path}", query),
        (path.replace("photos/", "photos//"), query),
    ]
    if name == "aws":
        others.append((path, f"{query}&signature=1"))
    for each in others:
        with pytest.raises((BadSignature, InvalidOption, UnknownPath)):
            read_url(of, *each)


def test_a_signed_path_is_not_decoded_twice():
    of = Thumbor(keys=(KEY,))
    signature = of.signature(KEY, "%320x20/photos/a.jpg")
    assert read_url(of, f"/{signature}/%320x20/photos/a.jpg", "").options.width == 20
    with pytest.raises(BadSignature):
        read_url(of, f"/{signature}/%25320x20/photos/a.jpg", "")
    with pytest.raises(BadSignature):
        read_url(of, f"/{signature}/%%3320x20/photos/a.jpg", "")


def test_one_signature_of_the_aws_handler_is_one_wish_whatever_the_order():
    of, _ = SIGNERS["aws"]
    first, second = "rotate=90&blur=2&sharpen=true", "sharpen=true&rotate=90&blur=2"
    signature = of.signature(KEY, "/photos/a.jpg?blur=2&rotate=90&sharpen=true")
    one, another = (
        read_url(of, "/photos/a.jpg", f"{query}&signature={signature}") for query in (first, second)
    )
    assert one == another


IMGPROXY = Imgproxy(keys=("aa" * 16 + ":bb",))
SOURCE = "w:20/plain/s3://photos/a%20b.jpg"


@pytest.mark.parametrize(
    ("sent", "note"),
    [
        (SOURCE, ""),
        ("w:20/plain/s3:/photos/a%20b.jpg", "one slash"),
        ("w%3A20/plain/s3%3A//photos/a%20b.jpg", "%3A means a colon"),
        ("w%3a20/plain/s3%3a//photos/a%20b.jpg", "%3A means a colon"),
        ("w%3A20/plain/s3%3A/photos/a%20b.jpg", "colon, and one slash"),
    ],
)
def test_imgproxys_path_is_verified_as_it_was_before_proxies_changed_it(sent, note):
    signature = IMGPROXY.signature(IMGPROXY.keys[0], f"/{SOURCE}")
    signed = IMGPROXY.split(f"/{signature}/{sent}", "")
    _, which = verified(IMGPROXY, signed)
    assert note in signed.notes[which]
    assert bool(note) is bool(signed.notes[which])
    read = IMGPROXY.read(signed)
    assert (str(read.source), read.options.width) == ("photos/a b.jpg", 20)


@pytest.mark.parametrize(
    "sent",
    [
        "w%3A20/plain/s3://photos/a%20b.jpg",
        "w:20/plain/s3%3A//photos/a%20b.jpg",
        "w%3a20/plain/s3%3A//photos/a%20b.jpg",
        "w:20/plain/s3:///photos/a%20b.jpg",
    ],
)
def test_a_path_of_imgproxy_that_is_changed_in_part_is_refused(sent):
    """Each colon that may be escaped on its own would double the URLs of one picture."""
    signature = IMGPROXY.signature(IMGPROXY.keys[0], f"/{SOURCE}")
    with pytest.raises(BadSignature):
        verify(IMGPROXY, IMGPROXY.split(f"/{signature}/{sent}", ""))


def test_an_escaped_colon_within_an_argument_of_imgproxy_does_not_end_it():
    signed = IMGPROXY.unsigned("att:1/fn:a%3Ab/plain/a.jpg")
    assert IMGPROXY.read(signed).file_name == "a:b"


BRACKETS = {
    "own": "_/photos/a{}.jpg",
    "thumbor": "20x20/photos/a{}.jpg",
    "imgproxy": "w:20/plain/photos/a{}.jpg",
    "aws": "photos/a{}.jpg?width=20",
    "imgix": "photos/a{}.jpg?w=20",
}


def sign_one_send_another(of, wanted, sent):
    """Sign a path and send another one in its place: (path, query)."""
    signature = of.signature(of.keys[0], of.unsigned(wanted).messages[0])
    other = of.unsigned(sent)
    if of.NAME == "own":  # its join would escape the path as `safelight sign` does
        return f"/{signature}/{other.target}", ""
    path, _, query = of.join(signature, other.target, other.query).partition("?")
    return path, query


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    ("signed", "sent"),
    [("[1]|", "[1]|"), ("[1]|", "%5B1%5D%7C"), ("%5B1%5D%7C", "[1]|"), ("[1]^", "%5B1%5D%5E")],
)
def test_brackets_and_bars_may_be_escaped_after_signing_or_not(name, signed, sent):
    of, _ = SIGNERS[name]
    url = sign_one_send_another(of, BRACKETS[name].format(signed), BRACKETS[name].format(sent))
    key = read_url(of, *url).source.key
    assert key == f"photos/a{signed.replace('%5B1%5D%7C', '[1]|')}.jpg"


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("sent", ["[1%5D", "%5b1%5d", "%5B1]"])
def test_a_path_whose_brackets_are_escaped_in_part_is_refused(name, sent):
    """Each bracket that may be escaped on its own would double the URLs of one picture."""
    of, _ = SIGNERS[name]
    url = sign_one_send_another(of, BRACKETS[name].format("[1]"), BRACKETS[name].format(sent))
    with pytest.raises((BadSignature, InvalidOption)):
        read_url(of, *url)


@pytest.mark.parametrize("name", ["thumbor", "imgproxy", "aws", "imgix"])
def test_a_bracket_that_was_escaped_twice_is_another_name(name):
    of, _ = SIGNERS[name]
    twice = BRACKETS[name].format("%255B1%255D")
    with pytest.raises(BadSignature):
        read_url(of, *sign_one_send_another(of, BRACKETS[name].format("[1]"), twice))
