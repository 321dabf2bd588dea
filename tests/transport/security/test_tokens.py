"""Tokens: read strictly, compared as a whole, and never shown."""

import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pipeline.errors import ConfigError
from transport.security import HOW_TO_MAKE, Tokens, read_tokens, tokens
from transport.security.tokens import VARIABLE, authorization

ONE, OTHER = "one-token_of.the~best+kind/00==", "another-token-of-the-kind"
letters = st.sampled_from("ABCXYZabcxyz0189-._~+/")
good = st.text(letters, min_size=16, max_size=512)


def plain(found: tuple[SecretStr, ...]) -> list[str]:
    return [token.get_secret_value() for token in found]


@given(tokens=st.lists(good, min_size=1, max_size=9), gap=st.sampled_from(["\n", "\r\n", "\n\n", " \n\t"]))
def test_a_file_holds_one_token_a_line(
    tokens: list[str], gap: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_bytes(gap.join(tokens).encode())
    assert plain(read_tokens(path, {VARIABLE: ONE})) == tokens


def test_without_a_file_the_environment_is_asked() -> None:
    assert plain(read_tokens(None, {VARIABLE: f" {ONE}\n"})) == [ONE]
    assert read_tokens(None, {VARIABLE: ""}) == read_tokens(None, {}) == ()


def test_the_real_environment_is_asked_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, ONE)
    assert plain(read_tokens(None)) == [ONE]


@pytest.mark.parametrize("word", ["short", "x" * 513, "sixteen letters!", "sixteen-letters-ö", "a==b" * 8])
def test_what_is_no_token_is_named_by_its_place_and_never_shown(word: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"{ONE}\n\n{word}\n")
    for read, place in (
        (lambda: read_tokens(path, {}), str(path)),
        (lambda: read_tokens(None, {VARIABLE: word}), f"the environment variable {VARIABLE}: no token"),
    ):
        with pytest.raises(ConfigError) as caught:
            read()
        line = str(caught.value)
        assert line.startswith(place) and line.endswith(HOW_TO_MAKE) and "\n" not in line
        assert word not in line and ONE not in line
    if word.isascii():
        with pytest.raises(ConfigError, match="line 3: no token"):
            read_tokens(path, {})


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (None, "the tokens cannot be read (No such file or directory)"),
        (b"", "0 tokens; give 1 to 256"),
        (b"\n\n", "0 tokens; give 1 to 256"),
        (b"a-good-token-of-20-letters\n" * 300, "300 tokens; give 1 to 256"),
        (b"\xff\xfe" * 20, "is no file of tokens"),
        (b"a-good-token-of-20-letters\n" * 5000, "is no file of tokens"),
    ],
)
def test_a_file_without_tokens_or_with_far_too_many_is_refused(
    data: bytes | None, line: str, tmp_path: Path
) -> None:
    path = tmp_path / "tokens"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_tokens(path, {})
    assert f"{path}: {line}" in str(caught.value)


@given(known=st.lists(good, min_size=1, max_size=5, unique=True), stranger=good, data=st.data())
def test_a_cloud_takes_each_of_its_tokens_and_no_other(
    known: list[str], stranger: str, data: st.DataObject
) -> None:
    ring = Tokens(map(SecretStr, known))
    assert len(ring) == len(known)
    mine = data.draw(st.sampled_from(known))
    assert ring.accept(authorization(SecretStr(mine))["Authorization"])
    assert ring.accept(f"bearer   {mine} ")
    assert ring.accept(f"Bearer {stranger}") == (stranger in known)
    for wrong in (
        None,
        "",
        mine,
        f"Basic {mine}",
        f"Bearer {mine[:-1]}",
        f"Bearer {mine}x",
        "Bearer",
        "\udcff",
    ):
        assert not ring.accept(wrong)


def test_without_tokens_anybody_may_come_in() -> None:
    assert Tokens().accept(None) and Tokens().accept("Bearer whatever") and not Tokens()


def test_a_wrong_token_is_compared_with_every_known_one_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(tokens, "compare_digest", compare)
    ring = Tokens([SecretStr(ONE), SecretStr(OTHER)])
    for shown in (ONE, OTHER, "x"):
        compared.clear()
        ring.accept(f"Bearer {shown}")
        assert compared == [(32, 32), (32, 32)]


def test_nothing_that_holds_a_token_shows_it() -> None:
    token = read_tokens(None, {VARIABLE: ONE})
    for thing in (token, Tokens(token), vars(Tokens(token))):
        assert ONE not in repr(thing) and ONE not in str(thing)
