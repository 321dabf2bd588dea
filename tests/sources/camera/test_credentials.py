import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.camera.credentials import REALM, Guard
from sources.camera.rtsp import Request
from tests.sources.camera.receiving import basic

URL, NONCE = "rtsp://h/stream", "0123abcd"
GUARD = Guard("user", "p:ä ss")


def request(proof, method="DESCRIBE"):
    return Request(method, URL, {"authorization": proof})


def digest(user="user", password="p:ä ss", nonce=NONCE, realm=REALM, method="DESCRIBE", uri=URL):
    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()

    proof = md5(f"{md5(f'{user}:{realm}:{password}')}:{nonce}:{md5(f'{method}:{uri}')}")
    return f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{proof}"'


@pytest.mark.parametrize("proof", [basic("user:p:ä ss"), digest(), digest().replace("Digest", "digest")])
def test_the_right_password_is_admitted_either_way(proof):
    assert GUARD.admits(request(proof), NONCE)


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "Basic",
        "Digest",
        "Bearer token",
        basic("user:wrong"),
        basic("other:p:ä ss"),
        basic("user"),
        "Basic ***",
        "Basic \xff",
        digest(password="wrong"),
        digest(user="other"),
        digest(nonce="another"),
        digest(realm="another"),
        digest(method="PLAY"),
        digest().replace("uri", "url"),
        digest().replace('username="user"', 'username="other"'),
        digest().replace(f'realm="{REALM}"', 'realm="another"'),
        digest().partition(", response")[0],
    ],
)
def test_anything_else_is_not(proof):
    assert not GUARD.admits(request(proof), NONCE)


def test_no_proof_at_all_is_not_admitted():
    assert not GUARD.admits(Request("PLAY", URL, {}), NONCE)


@given(st.sampled_from(["Basic ", "Digest ", ""]), st.text(st.characters(max_codepoint=255)))
def test_no_header_breaks_the_guard(scheme, rest):
    assert not GUARD.admits(request(scheme + rest), NONCE)


def test_both_ways_are_offered_and_nothing_that_is_secret():
    names, values = zip(*GUARD.challenges(NONCE), strict=True)
    assert set(names) == {"WWW-Authenticate"}
    assert values == (
        f'Digest realm="{REALM}", nonce="{NONCE}", algorithm="MD5"',
        f'Basic realm="{REALM}"',
    )
