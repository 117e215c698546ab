"""Whether the API's edge answers what it refuses as problems, and lets patients' texts through."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from infra.verification.account import Account, CheckFailedError

MESSAGES = "v1/clinics/cli_00000000000000000000000000/channels/chn_00000000000000000000000000/messages"
TEXTS = (
    "Olá, Dra.! Posso remarcar para <b>terça</b>?",
    "Segue o caminho: ../../exames/2026.pdf",
    "Meu site: http://169.254.169.254/latest e http://10.0.0.1/?x=http://1.2.3.4",
    "Deu erro: SELECT * FROM consultas WHERE 1=1; -- o que faço?",
    "<script>alert('oi')</script> apareceu na tela",
    "O valor é ${total}; a senha não é ${jndi:ldap://x}",
    "' OR '1'='1",
    "java.lang.Runtime.getRuntime().exec foi o que o app mostrou",
    "😀 Confirmo!\n\nAté amanhã às 14h — obrigada 🙏🏽",
    "á" * 4_000,
)
"""As patients and clinics write them; no real ones."""

_BODY_LIMIT = 256 * 1024
_REFUSED = {"unauthenticated": 401, "request_blocked": 403, "body_too_large": 413, "rate_limited": 429}
_PATIENCE_SECONDS = 180.0
_AT_ONCE = 32
_BATCH = 256


class Api:
    """The deployed API, called by nobody: with no key, or with one that was made up."""

    def __init__(self, account: Account) -> None:
        self._url = account.output("api", "Url").rstrip("/")
        self._http = urllib3.PoolManager(_AT_ONCE, timeout=30.0, retries=False)

    def call(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """Return the answer."""
        sent = {"content-type": "application/json", **(headers or {})}
        return self._http.request(method, f"{self._url}/{path}", body=body, headers=sent)


def refusals_are_problems(account: Account) -> str:
    """Without a key, with an attack in the query and with a huge body: each a problem document with its code."""
    api = Api(account)
    huge = b'{"text":"' + b"a" * _BODY_LIMIT + b'"}'
    seen = [
        _code(api.call("GET", "v1/clinics"), "unauthenticated"),
        _code(api.call("GET", "health?file=../../../../etc/passwd"), "request_blocked"),
        _code(api.call("POST", MESSAGES, huge), "body_too_large"),
    ]
    return f"answered as problems: {', '.join(seen)}"


def texts_pass_the_firewall(account: Account) -> str:
    """Texts as people write them reach the API, which asks for a key; the firewall only counts them."""
    api, blocked = Api(account), []
    for place, text in enumerate(TEXTS):
        body = json.dumps({"to": "+5511999990000", "text": text}).encode()
        if api.call("POST", MESSAGES, body).status != _REFUSED["unauthenticated"]:
            blocked.append(str(place))
    if blocked:
        raise CheckFailedError(f"sample texts that did not reach the API: {', '.join(blocked)} of {len(TEXTS)}")
    return f"{len(TEXTS)} sample texts reached the API"


def floods_are_throttled(account: Account) -> str:
    """More requests than one key may make are answered 429, as a problem; the key is made up, so nobody is hit."""
    limit = account.stage.requests_per_minute_and_key
    account.require_leave_to_disturb(f"it sends some {2 * limit} requests in three minutes")
    api, sent = Api(account), 0
    headers = {"x-api-key": account.new_name()}

    def flooded() -> Any:
        nonlocal sent
        sent += _BATCH
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            answers = list(threads.map(lambda _: api.call("GET", "v1/clinics", headers=headers), range(_BATCH)))
        return next((answer for answer in answers if answer.status == _REFUSED["rate_limited"]), None)

    refused, seconds = account.until(flooded, _PATIENCE_SECONDS, pause=0.0)
    if refused is None:
        raise CheckFailedError(
            f"{sent} requests in {seconds:.0f} s, above the limit of {limit} a minute, all let through"
        )
    _code(refused, "rate_limited")
    return f"refused within {sent} requests and {seconds:.0f} s; the limit is {limit} a minute"


def _code(answer: Any, expected: str) -> str:
    status, media_type = answer.status, answer.headers.get("content-type", "")
    try:
        code = json.loads(answer.data).get("code")
    except ValueError:
        code = None
    if status != _REFUSED[expected] or code != expected or "json" not in media_type:
        raise CheckFailedError(
            f"expected {_REFUSED[expected]} {expected}, got {status} {code} as {media_type or 'nothing'}"
        )
    return f"{status} {expected}"
