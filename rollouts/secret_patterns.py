"""What credentials look like: the published formats of services, and the shapes of those without one."""

import re
from typing import NamedTuple

__all__ = ["ASSIGNMENT", "HINTS", "JWT", "NAME", "PRIVATE_KEY", "SCHEME", "TOKENS", "URL_PASSWORD", "TokenFormat"]


class TokenFormat(NamedTuple):
    """A token that names its service."""

    kind: str
    hints: tuple[str, ...]
    """Every token holds one of these; looking for all of them at once is quicker than matching."""
    pattern: re.Pattern[str]


def _format(kind: str, hints: str, pattern: str) -> TokenFormat:
    """`pattern` with nothing before or after it that could belong to a longer word."""
    return TokenFormat(kind, tuple(hints.split()), re.compile(rf"(?<![A-Za-z0-9_/+-])(?:{pattern})(?![A-Za-z0-9_/+-])"))


TOKENS = (
    _format("AWS access key", "AKIA ASIA ABIA ACCA", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    _format("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,251}"),
    _format("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _format(
        "GitLab token",
        "glpat- gldt- glft- glrt- glptt- glcbt- gloas- glagent- glsoat- glimt- glffct-",
        r"gl(?:pat|dt|ft|rt|ptt|cbt|oas|agent|soat|imt|ffct)-[A-Za-z0-9_.-]{20,}",
    ),
    _format(
        "Slack token", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xapp-", r"xox[abeoprs]-(?:\d+-)+[A-Za-z0-9-]{8,}"
    ),
    _format("Slack token", "xapp-", r"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}"),
    _format("Slack webhook", "hooks.slack.com", r"https://hooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{16,}"),
    _format("Stripe key", "sk_live_ rk_live_ sk_test_ rk_test_", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    _format("Stripe webhook secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{32,}"),
    _format("Google API key", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _format("Google client secret", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    _format("Google access token", "ya29.", r"ya29\.[A-Za-z0-9_-]{30,}"),
    _format("Anthropic key", "sk-ant-", r"sk-ant-[a-z]{2,8}\d\d-[A-Za-z0-9_-]{40,}"),
    _format("OpenAI key", "T3BlbkFJ", r"sk-[A-Za-z0-9_-]{10,}T3BlbkFJ[A-Za-z0-9_-]{10,}"),
    _format("OpenAI key", "sk-proj- sk-svcacct- sk-admin-", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,}"),
    _format("key of a model service", "sk-", r"sk-(?:or-v1-[a-f0-9]{64}|(?=[A-Za-z]*\d)[A-Za-z0-9]{48})"),
    _format(
        "key of a model service", "gsk_ xai- r8_", r"(?:gsk_[A-Za-z0-9]{52}|xai-[A-Za-z0-9]{80}|r8_[A-Za-z0-9]{37})"
    ),
    _format("Hugging Face token", "hf_", r"hf_[A-Za-z]{34}"),
    _format("package index token", "pypi-AgE npm_", r"(?:pypi-AgE[A-Za-z0-9_-]{50,}|npm_[A-Za-z0-9]{36})"),
    _format("Docker Hub token", "dckr_pat_", r"dckr_pat_[A-Za-z0-9_-]{27}"),
    _format("SendGrid key", "SG.", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    _format("DigitalOcean token", "dop_v1_ doo_v1_", r"do[op]_v1_[a-f0-9]{64}"),
    _format("Databricks token", "dapi", r"dapi[a-f0-9]{32}(?:-\d)?"),
    _format("Shopify token", "shpat_ shpss_ shpca_", r"shp(?:at|ss|ca)_[a-fA-F0-9]{32}"),
    _format("Vault token", "hvs. hvb.", r"hv[sb]\.[A-Za-z0-9_-]{24,}"),
    _format("Telegram token", ":AA", r"\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    _format("Azure storage key", "AccountKey=", r"AccountKey=[A-Za-z0-9+/]{86}=="),
    _format("age key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}"),
)

HINTS = re.compile("|".join(sorted({re.escape(hint) for known in TOKENS for hint in known.hints}, reverse=True)))
"""All hints, of two that begin alike the longer first."""

PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?=(?:[^-]|-(?!-)){0,300}?[A-Za-z0-9+/]{32})"
)
"""With some of the key behind it: code that only speaks of the line is no secret."""

JWT = re.compile(r"(?<![\w.-])(eyJ[A-Za-z0-9_-]{8,})\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}")

URL_PASSWORD = re.compile(r"://([^\s:/@\"'`<>|\\]{1,100}):([^\s:/@\"'`<>|\\]{3,200})@([\w.-]+)")
"""User, password and host; begins at the colon of the scheme, which is quickly found."""

SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,30}\Z")

ASSIGNMENT = re.compile(
    r"""(?x)
    (?:api_?key|access_?key|auth_?key|private_?key|secret|token|passwd|password|credential) [\w.-]{0,20}
    (?:\\?["'])? \s{0,3} (?:=>|:=|=|:) \s{0,3} (?:\\?["'`])? ([a-z0-9+/_=.-]{16,200}) (?![\w(\[])
    """
)
"""A name that promises a secret, from the word that does, and a value; for text in lower case."""

NAME = re.compile(r"[\w.-]{0,40}\Z")
