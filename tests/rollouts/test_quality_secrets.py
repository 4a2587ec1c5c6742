"""Credentials are found in whatever form, and what only looks like one is left alone."""

import base64
import hashlib
import json
import random
import string
import sysconfig
import uuid
from pathlib import Path

import pytest
from trajectory_hub.rollouts.quality import find_secrets

SHARED = Path(__file__).parents[3] / "shared" / "data"
RUNS = Path(__file__).parents[1] / "data"


def drawn(count: int, alphabet: str = string.ascii_letters + string.digits, seed: int = 1) -> str:
    """Made here and now, so that no test file holds anything that looks like a credential."""
    return "".join(random.Random(f"{seed}{count}{alphabet}").choices(alphabet, k=count))


UPPER = string.ascii_uppercase + "234567"
HEX = string.digits + "abcdef"
TOKENS = {
    "AWS access key": "AKIA" + drawn(16, UPPER),
    "GitHub token": "ghp_" + drawn(36),
    "GitLab token": "glpat-" + drawn(20),
    "Slack token": f"xoxb-{drawn(12, string.digits)}-{drawn(12, string.digits)}-{drawn(24)}",
    "Slack webhook": f"https://hooks.slack.com/services/T{drawn(9)}/B{drawn(9)}/{drawn(24)}",
    "Stripe key": "sk_live_" + drawn(24),
    "Google API key": "AIza" + drawn(35),
    "Google client secret": "GOCSPX-" + drawn(28),
    "Anthropic key": "sk-ant-api03-" + drawn(93) + "AA",
    "OpenAI key": f"sk-proj-{drawn(20)}T3BlbkFJ{drawn(20)}",
    "key of a model service": "sk-or-v1-" + drawn(64, HEX),
    "Hugging Face token": "hf_" + drawn(34, string.ascii_letters),
    "Docker Hub token": "dckr_pat_" + drawn(27),
    "SendGrid key": f"SG.{drawn(22)}.{drawn(43)}",
    "package index token": "npm_" + drawn(36),
    "Telegram token": f"{drawn(9, string.digits)}:AA{drawn(33)}",
}
AROUND = (
    "{}",
    "export KEY={}\n",
    '{{"key": "{}"}}',
    "Authorization: Bearer {}",
    "curl -H 'X-Key: {}' https://api.host.io",
)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("kind", TOKENS)
def test_tokens_of_known_formats_are_found_and_masked(kind: str, around: str) -> None:
    secret = TOKENS[kind]
    text = around.format(secret)
    (found,) = find_secrets(text)
    assert found.kind == kind
    assert text[found.start : found.end] == secret
    assert secret[8:] not in found.masked
    assert f"{len(secret)} characters" in found.masked


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_inside_a_longer_word_is_none(kind: str) -> None:
    if "https" not in TOKENS[kind]:
        assert [found for found in find_secrets(f"x{TOKENS[kind]}") if found.kind == kind] == []


def private_key(kind: str) -> str:
    body = base64.b64encode(drawn(300).encode()).decode()
    lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n"


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
def test_private_keys_are_found_with_their_body_only(kind: str) -> None:
    (found,) = find_secrets(f"cat id\n{private_key(kind)}")
    assert (found.kind, found.masked) == ("private key", f"-----BEGIN {kind}-----")
    escaped = json.dumps(private_key(kind))
    assert [each.kind for each in find_secrets(escaped)] == ["private key"]
    assert find_secrets(f'if line == "-----BEGIN {kind}-----":\n    return True') == []


def token(head: dict[str, str]) -> str:
    parts = [json.dumps(head), json.dumps({"sub": "1234", "name": "somebody"})]
    encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, drawn(43)])


def test_a_json_web_token_is_one_by_its_head() -> None:
    assert [found.kind for found in find_secrets(token({"alg": "HS256", "typ": "JWT"}))] == ["JSON web token"]
    assert find_secrets(token({"nothing": "of the kind"})) == []


def test_a_password_in_an_address_is_never_shown() -> None:
    text = "DATABASE_URL=postgres://alice:s3cr7tPq@db.corp.io:5432/app"
    (found,) = find_secrets(text)
    assert found.masked == "postgres://alice:…@db.corp.io"
    assert text[found.start : found.end] == "s3cr7tPq"


@pytest.mark.parametrize(
    "address",
    [
        "postgres://user:password@host/db",
        "postgres://postgres:postgres@db.corp.io/x",
        "https://alice:s3cr7tPq@example.com/",
        "https://$USER:$TOKEN@github.com/x.git",
        "https://{user}:{token}@github.com/x.git",
        "https://<user>:<password>@github.com",
        "http://127.0.0.1:8000/a@b",
        "see https://github.com/a/b/issues/1: thanks @someone",
        "amqp://guest:guest@rabbit//",
    ],
)
def test_addresses_of_documentation_are_left_alone(address: str) -> None:
    assert find_secrets(address) == []


ASSIGNED = drawn(40)


@pytest.mark.parametrize(
    "line",
    [
        f"aws_secret_access_key = {ASSIGNED}",
        f'API_KEY: "{ASSIGNED}"',
        f"client.secret='{ASSIGNED}'",
        f'"authToken" : "{ASSIGNED}"',
        f"PASSWORD={drawn(20)}",
        f"SECRET_KEY = '{drawn(64, HEX)}'",
        json.dumps(f'{{"api_key": "{ASSIGNED}"}}'),
    ],
)
def test_random_values_of_names_that_promise_a_secret_are_found(line: str) -> None:
    (found,) = find_secrets(line)
    assert found.kind.startswith("value of ")


@pytest.mark.parametrize(
    "line",
    [
        f"commit {hashlib.sha1(b'x').hexdigest()}",
        f"token_hash = {hashlib.sha256(b'x').hexdigest()}",
        f"index 1a2b3c4..{drawn(7, HEX)} 100644",
        f"secret_id: {uuid.UUID(int=0x1234567890ABCDEF1234567890ABCDEF)}",
        f"sha256:{hashlib.sha256(b'y').hexdigest()}",
        "token = tokenizer.next_token_from_stream2",
        "api_key = os.environ['SERVICE_API_KEY_2024']",
        "password = 'your-password-goes-here-1234'",
        "SECRET_KEY = 'django-insecure-example-0123456789'",
        "secret = settings.SECRET_KEY_FALLBACK_001",
        "self.assertEqual(token, 'abcabcabcabcabcabc')",
        "password_validators = django.contrib.auth.password_validation",
        "AKIAIOSFODNN7EXAMPLE",
        "max_tokens: 1234567890123456",
        "key=" + "a" * 40,
        "nothing",
        "",
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(line: str) -> None:
    assert find_secrets(line) == []


def test_each_secret_is_found_once_and_in_order() -> None:
    text = f"api_key = {TOKENS['GitHub token']}\nsecret: {ASSIGNED}\n{private_key('PRIVATE KEY')}"
    found = find_secrets(text)
    assert [each.kind for each in found] == ["GitHub token", "value of secret", "private key"]
    assert [each.start for each in found] == sorted(each.start for each in found)


def test_letters_that_grow_in_lower_case_move_nothing() -> None:
    text = f"{'İ' * 50} API_KEY = {ASSIGNED}"
    (found,) = find_secrets(text)
    assert text[found.start : found.end] == ASSIGNED


@pytest.mark.timeout(100)
@pytest.mark.parametrize("piece", ["token = ", "-----BEGIN PRIVATE KEY-----", "a://b:", "eyJa.", "sk-", "A" * 7 + "="])
def test_hostile_text_takes_no_longer_than_other_text(piece: str) -> None:
    assert isinstance(find_secrets(piece * (1_000_000 // len(piece))), list)


@pytest.mark.parametrize(
    ("alphabet", "count", "least"),
    [
        (string.ascii_letters + string.digits, 32, 0.95),
        (string.ascii_letters + string.digits + "+/", 40, 0.9),
        (string.ascii_lowercase + string.digits, 32, 0.85),
        (HEX, 32, 0.99),
    ],
)
def test_most_values_that_were_drawn_are_recognised(alphabet: str, count: int, least: float) -> None:
    lines = [f"service_api_key={drawn(count, alphabet, seed)}" for seed in range(1000)]
    assert sum(len(find_secrets(line)) == 1 for line in lines) >= 1000 * least


def test_the_standard_library_holds_next_to_none() -> None:
    """Ten million characters of code by many hands, about passwords and tokens too."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts = [
        p.read_text(errors="replace") for p in folder.rglob("*.py") if not {"test", "site-packages"} & set(p.parts)
    ]
    assert sum(map(len, texts)) > 5_000_000
    found = [each for text in texts for each in find_secrets(text)]
    assert len(found) <= 3, [each.masked for each in found]


def test_recorded_runs_hold_none() -> None:
    logs = sorted(RUNS.rglob("events.jsonl"))
    assert logs
    assert [find_secrets(log.read_text()) for log in logs] == [[] for _ in logs]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of other people's data, ../shared/data, is not here")
def test_false_positives_on_other_peoples_trajectories() -> None:
    """13 million characters of transcripts, logs and patches in which nobody knows of a credential."""
    texts = [path.read_text(errors="replace") for path in SHARED.rglob("*") if path.is_file()]
    assert sum(map(len, texts)) > 5_000_000
    found = [each for text in texts for each in find_secrets(text)]
    assert len(found) <= 3, [each.masked for each in found]
