"""What looks like a secret, and what only resembles one."""

from __future__ import annotations

import base64
import hashlib
import random
import time
import uuid

import pytest

from colab_magics.core.secret_scan import assigned, find, looks_secret

_ALNUM = "Zq3Xv7Lm9Tb2Kc5Wd8Rf1Hg4Jp6Ns0Yt7Uae"  # 36 characters

pytestmark = pytest.mark.once

#: Put together here, so that nothing in this file looks like a token to those who scan it.
TOKENS = {
    "ghp" + "_" + _ALNUM: "a GitHub token",
    "github" + "_pat_" + _ALNUM + "_" + _ALNUM: "a GitHub token",
    "hf" + "_" + _ALNUM[:34]: "a Hugging Face token",
    "sk" + "-" + _ALNUM + _ALNUM[:12]: "an OpenAI or Anthropic key",
    "sk" + "-proj-" + _ALNUM + "-" + _ALNUM: "an OpenAI or Anthropic key",
    "sk" + "-ant-api03-" + _ALNUM + "_" + _ALNUM: "an OpenAI or Anthropic key",
    "xox" + "b-123456789012-abcdefABCDEF": "a Slack token",
    "AKIA" + "IOSFODNN7ABCDEFG": "an AWS key",
    "AIza" + "Sy" + _ALNUM[:33]: "a Google key",
    "glpat" + "-" + _ALNUM[:20]: "a GitLab token",
    "npm" + "_" + _ALNUM: "a package index token",
    "pypi" + "-" + _ALNUM + _ALNUM: "a package index token",
    "sk" + "_live_" + _ALNUM[:24]: "a Stripe key",
    "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0." + _ALNUM: "a JSON Web Token",
    "-----BEGIN OPENSSH " + "PRIVATE KEY-----": "a private key",
    "-----BEGIN " + "PRIVATE KEY-----": "a private key",
    "postgres://me:hunter" + "2@db.example.org/x": "a URL with a password",
    "https://:hunter" + "2@example.org": "a URL with a password",
}


@pytest.mark.parametrize(("token", "kind"), TOKENS.items())
@pytest.mark.parametrize("around", ["{}", "token = '{}'", "a\n{}\nb", "see {}.", "TOKEN={} python"])
def test_a_token_is_found_wherever_it_stands(token: str, kind: str, around: str) -> None:
    """Alone, quoted, in a line or a sentence: its kind is said, and nothing else."""
    assert find(around.format(token)) == (kind,)


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_a_secret_under_any_name(token: str) -> None:
    """A value with the shape of a token is refused whatever the variable is called."""
    assert looks_secret("GREETING", token)


def test_several_kinds_are_each_said_once() -> None:
    """Two tokens of one kind and one of another are two kinds."""
    github, _, face = list(TOKENS)[:3]
    assert find(f"{github} {face} {github}") == ("a GitHub token", "a Hugging Face token")


@pytest.mark.parametrize(
    "text",
    [
        "",
        hashlib.sha1(b"x").hexdigest(),
        hashlib.sha256(b"x").hexdigest(),
        "sha256:" + hashlib.sha256(b"y").hexdigest(),
        "sha512-" + base64.b64encode(hashlib.sha512(b"z").digest()).decode(),
        str(uuid.UUID(int=0x1234567890ABCDEF1234567890ABCDEF)),
        '<div class="sk-toggleable__content sk-estimator-doc-link-of-a-very-long-class">',
        "sk-learn, xoxo, hf_hub_download(repo_id='x'), ghp_ and AKIA are prefixes",
        "https://user:password@host, https://me:$TOKEN@host, https://me:{token}@host",
        "https://****@host/x, http://me:****@host, https://USER:YOUR_TOKEN@host",
        "http://localhost:8888/lab?x=1 mail me@example.org",
        "git+ssh://git@github.com/a/b.git",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "github_pat_example",
        "eyJhbGciOiJIUzI1NiJ9",
    ],
)
def test_what_only_resembles_a_token_is_none(text: str) -> None:
    """Hashes, UUIDs, commits, classes of HTML, placeholders and prefixes alone are left alone."""
    assert find(text) == ()


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_pictures_in_outputs_are_no_tokens(encode: object) -> None:
    """Megabytes of Base64, in either alphabet, hold no token, and are read in no time."""
    data = random.Random(7).getrandbits(8 * 3_000_000).to_bytes(3_000_000, "big")
    text = encode(data).decode()  # type: ignore[operator]
    wrapped = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    began = time.process_time()
    assert find(text) == () == find(wrapped)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "name",
    [
        *(
            "HF_TOKEN",
            "TOKEN",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "API_KEY",
            "OPENAI_API_KEY",
        ),
        *("WANDB_API_KEY", "DB_PASSWORD", "MYSQL_PWD", "PGPASSWORD", "SMTP_PASS", "SSH_PASSPHRASE"),
        *(
            "CLIENT_SECRET",
            "apiKey",
            "HFTOKEN",
            "TOKEN_2",
            "GIT_CREDENTIALS",
            "MY_KEY",
            "api_token",
        ),
        "HF_TOKEN_READ",
    ],
)
def test_a_name_can_say_that_its_value_is_a_secret(name: str) -> None:
    """A word of the name says it; an empty value or a mere switch is none all the same."""
    assert looks_secret(name, "d8e8fca2dc0f896f")
    assert not looks_secret(name, "")
    assert not looks_secret(name, "1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "disabled"),
        ("KEYBOARD", "qwerty"),
        ("MONKEY", "see-no-evil"),
        ("HF_TOKEN_PATH", "~/.cache/token"),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/db"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/content/service.json"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "drive:keys/service.json"),
        ("SSH_KEY", "~/.ssh/id_ed25519"),
        ("AWS_ACCESS_KEY_ID", "default"),
        ("MAX_TOKENS", "4096"),
        ("MAX_TOKEN", "4096"),
        ("EOS_TOKEN", "</s>"),
        ("SORT_KEY", "created_at"),
        ("PUBLIC_KEY", "ssh-ed25519 AAAA"),
        ("PWD", "/content"),
        ("OLDPWD", "/content"),
        ("OMP_NUM_THREADS", "4"),
        ("COMPASS", "north"),
        ("CUDA_VISIBLE_DEVICES", "0,1"),
        ("_", "x"),
        ("SECRETARY", "ada"),
        ("TOKENIZER", "bpe"),
    ],
)
def test_other_names_are_left_alone(name: str, value: str) -> None:
    """A file that holds a secret, a number of tokens, a word that only begins alike: no secret."""
    assert not looks_secret(name, value)


@pytest.mark.parametrize(
    "code",
    [
        "MY = '{}'",
        'os.environ["MY"] = "{}"',
        "login(MY='{}')",
        "x = 1\nMY: str = b'{}'",
        "%env MY={}",
        "%env MY {}",
        "!export MY={}",
    ],
)
@pytest.mark.parametrize("name", ["WANDB_API_KEY", "password", "hfToken"])
def test_a_secret_that_code_writes_out(code: str, name: str) -> None:
    """Whatever gives it to the name: the name is said."""
    value = "0123456789abcdef0123"
    assert assigned(code.replace("MY", name).format(value)) == name


@pytest.mark.parametrize(
    "code",
    [
        "password = ''",
        "password = getpass('Your password 12345678')",
        "token = os.environ['MY_TOKEN_12345']",
        "password == 'hunter2hunter2'",
        "api_key = 'YOUR_API_KEY_HERE'",
        "api_key = 'XXXXXXXXXXXXXXXXXXXX'",
        "api_key = f'{key_1234567890}'",
        "key = '0123456789abcdef0123'",
        "cache_key = 'user_profile_2024_v1'",
        "special_token = '<extra_id_0>'",
        "tokenizer = 'bert-base-12345678'",
        "token_path = 'folder/token12345678'",
        "token = 'transformers'",
        "credentials = 'creds/service1.json'",
        "%env MY_TOKEN=$OTHER_TOKEN_1",
        "x = 'password123456'",
        '{"token": "abc", "y": x["a"] == "0123456789ab"}',
    ],
)
def test_code_that_writes_out_no_secret(code: str) -> None:
    """Asked for, read, compared, left for the reader to put in, or something else: no secret."""
    assert assigned(code) == ""


def test_a_long_text_takes_no_longer_for_what_it_holds() -> None:
    """Outputs are long: no shape makes the time grow by more than the length."""
    start = time.process_time()
    for text in ("a." * 100000, "eyJ" * 100000, "http://" * 50000, "sk-" * 100000, "a" * 1000000):
        assert find(text) == ()
        assert assigned(text) == ""
    for text in ("a_token=" * 100000, "a_token = '" * 100000, "x1" * 500000 + "='", "=" * 1000000):
        assert assigned(text) == ""
    assert time.process_time() - start < 3


def test_a_private_key_in_a_string() -> None:
    """Behind a line break that is written out, too."""
    assert find(r"x = 'a\n-----BEGIN " + r"PRIVATE KEY-----\nMII'") == ("a private key",)
