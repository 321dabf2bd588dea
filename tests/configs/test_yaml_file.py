import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.yaml_file import MOST_BYTES, read_config
from pipeline.errors import ConfigError

ENVIRONMENT = {"HOST": "cam.example", "PW": "p@ss/w${X}", "EMPTY": "", "NUMBER": "0123"}


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "a.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def value_of(written, text):
    return read_config(written(f"a: {text}"), ENVIRONMENT)["a"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${HOST}", "cam.example"),
        ("http://${HOST}:${PORT:-80}/x", "http://cam.example:80/x"),
        ("${NUMBER}", "0123"),
        ("'${PW}'", "p@ss/w${X}"),
        ("${EMPTY:-full}", "full"),
        ("${EMPTY}", None),
        ("${NOT_THERE:-}", None),
        ("x${EMPTY}", "x"),
        ("$${HOST}", "${HOST}"),
        ("pa$$word", "pa$$word"),
        ("[1, '${HOST}', {b: '${PORT:-9}'}]", [1, "cam.example", {"b": "9"}]),
        ("300", 300),
    ],
)
def test_variables_of_the_environment_are_filled_in(written, text, value):
    assert value_of(written, text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rtsp://me:${PW}@${HOST}/cam", "rtsp://me:p%40ss%2Fw%24%7BX%7D@cam.example/cam"),
        ("rtsp://${HOST}/cam?user=${PW}", "rtsp://cam.example/cam?user=p@ss/w${X}"),
        ("mqtts://${USER:-a@b/c}:x@h/t", "mqtts://a%40b%2Fc:x@h/t"),
    ],
)
def test_in_user_and_password_of_an_address_they_are_encoded(written, text, value):
    assert value_of(written, text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: {b: ['${NOPE}']}",
            r"a\.b\.0: the environment variable NOPE is not set; set it, or write \$\{NOPE:-def",
        ),
        ("a: ${HOST", r"a: a variable is written \$\{NAME\} or \$\{NAME:-default\}"),
        ("a: ${}", r"a: a variable is written"),
        ("a: 1\na: 2", r"line 2, column 1: the key a is there twice"),
        ("a: &x [1]\nb: *x", r"line 2, column 4: aliases are not taken"),
        ("a: {<<: {b: 1}}", r"line 1, column 5: a key is a word"),
        ("? [1]\n: 2", r"a key is a word"),
        ("a: !!python/object/apply:os.system [ls]", r"line 1, column 4: could not determine a constructor"),
        ("a: [1", r"line \d, column \d: "),
        ("a: \x00", r"is no YAML"),
        (b"a: \xff\xfe", r"is no YAML"),
        ("- 1", r"a configuration is a map"),
        ("just words", r"a configuration is a map"),
        ("a: " + "x" * MOST_BYTES, r"is over 262144 bytes"),
        ("a: " + "[" * 5000, r"is no YAML|nested"),
        ("a: " + "{b: " * 40 + "1" + "}" * 40, r"nested too deep"),
    ],
)
def test_what_is_no_configuration_is_one_line_that_names_file_and_place(written, text, said):
    path = written(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_config(path, ENVIRONMENT)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_no_error_quotes_what_the_file_holds(written):
    for text in (
        "password: hidden: x",
        "a: 'hidden",
        "password: [hidden",
        "password: @hidden",
        "a: %hidden\x01",
    ):
        with pytest.raises(ConfigError) as caught:
            read_config(written(text), {})
        assert "hidden" not in str(caught.value)


def test_an_empty_file_is_an_empty_configuration_and_one_that_is_not_there_is_one_line(written, tmp_path):
    assert read_config(written("# nothing\n"), {}) == {}
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file"):
        read_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory"):
        read_config(tmp_path)


@given(text=st.text(max_size=40))
def test_whatever_the_file_holds_it_is_a_map_or_one_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(read_config(path, {}), dict)
    except ConfigError as error:
        assert str(error).isprintable()
