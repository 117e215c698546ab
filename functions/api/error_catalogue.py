"""What each error code means to an integrator, in both languages.

``docs/errors.md`` and the pages under ``/errors`` are rendered from this list, so that the documentation,
the running API and ``recado.kernel.errors`` say the same (a test walks the tree of errors).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from recado.kernel import errors


@dataclass(frozen=True, slots=True)
class Explanation:
    """One error code explained: English cause and remedy, and the gist in Portuguese."""

    error: type[errors.RecadoError]
    cause: str
    remedy: str
    portuguese: str


EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        errors.InvalidRequestError,
        "A field or query parameter is missing, unknown, of the wrong type or out of its limits. `field` names the "
        "first one at fault as a dotted path; `errors` lists them all.",
        "Correct the named field. Unknown fields are refused on purpose: a misspelt option must not be ignored.",
        "Um campo ou parâmetro está ausente, é desconhecido, tem o tipo errado ou passa do limite; corrija o campo "
        "indicado em `field`.",
    ),
    Explanation(
        errors.MalformedBodyError,
        "The body is not JSON, or was not sent as `Content-Type: application/json`.",
        "Send one JSON object encoded as UTF-8 and name its content type.",
        "O corpo não é JSON válido ou falta o cabeçalho `Content-Type: application/json`.",
    ),
    Explanation(
        errors.MalformedRequestError,
        "The request was refused before it reached the API: its request line, headers or encoding could not be "
        "understood.",
        "Compare the request with an example under `/docs`; a client library for HTTP builds it correctly.",
        "A requisição não pôde ser interpretada antes de chegar à API; confira método, cabeçalhos e codificação.",
    ),
    Explanation(
        errors.InvalidPhoneNumberError,
        "No phone number or WhatsApp address can be read from the text.",
        "Send the number with country code (`+5511977770001`), in national form for Brazil (`(11) 97777-0001`), or "
        "as a WhatsApp address of a person. Groups are not supported.",
        "Não foi possível ler um número de telefone; envie com DDI e DDD, por exemplo `+5511977770001`.",
    ),
    Explanation(
        errors.InvalidCursorError,
        "The cursor was not issued for this list, this clinic and these filters, or was altered.",
        "Pass `next_cursor` back unchanged, with the same path and filters; to start again, leave the cursor out.",
        "O cursor não pertence a esta lista; repita a consulta sem `cursor` para começar do início.",
    ),
    Explanation(
        errors.InvalidWebhookUrlError,
        "The URL is not https, or its host leads to an address that webhooks may not reach (private, loopback, "
        "link-local).",
        "Register a public https address. Redirects are not followed.",
        "A URL do webhook precisa ser https e apontar para um endereço público.",
    ),
    Explanation(
        errors.BodyTooLargeError,
        "The request body is larger than 256 KiB.",
        "Send less in one request.",
        "O corpo da requisição passa de 256 KiB; envie menos dados por requisição.",
    ),
    Explanation(
        errors.UnauthenticatedError,
        "No key was sent, or the key is unknown, malformed or revoked; or a person's ID token is expired, not signed "
        "for this API, or names no role and clinic that may come in. Which of these it is, only our log says.",
        "Send `Authorization: Bearer rk_…` or `X-Api-Key: rk_…`. A key that was just revoked may work for up to 30 "
        "seconds; a key that was just created works at once. A program that people sign in to refreshes its tokens and "
        "tries once more; if that is refused too, they sign in again.",
        "A chave de API está ausente, é desconhecida ou foi revogada, ou o token de quem entrou expirou ou não vale "
        "para esta API; envie `Authorization: Bearer rk_…`, ou renove o token e tente mais uma vez.",
    ),
    Explanation(
        errors.InsufficientScopeError,
        "The key is valid but was not given the right that this operation needs, or the person's role does not include "
        "it; `detail` names the scope. A key cannot give another key more than it has itself.",
        "Use a key with that scope, or have a new one created; for a person, have somebody with the right do it.",
        "A chave é válida, mas não tem a permissão necessária, ou o papel da pessoa não a inclui; use uma chave com o "
        "escopo indicado em `detail`.",
    ),
    Explanation(
        errors.RequestBlockedError,
        "The firewall refused the request before it reached the API: its address is known for attacks, or its path, "
        "query or headers look like one (a missing `User-Agent` does). Bodies are never a reason.",
        "Send a `User-Agent` and nothing but the documented parameters; if it happens to a proper request, report its "
        "`request_id`.",
        "O firewall recusou a requisição antes da API; envie o cabeçalho `User-Agent` e, se a chamada for legítima, "
        "informe o `request_id` ao suporte.",
    ),
    Explanation(
        errors.RouteNotFoundError,
        "No operation has this path.",
        "Compare the path with the list under `/docs`; paths have no slash at the end.",
        "Nenhuma operação tem este caminho; confira a lista em `/docs`.",
    ),
    Explanation(
        errors.MethodNotAllowedError,
        "The path exists, but not with this method; the header `Allow` lists the ones it has.",
        "Use one of the methods listed.",
        "O caminho existe, mas não com este método; veja o cabeçalho `Allow`.",
    ),
    Explanation(
        errors.ClinicNotFoundError,
        "No such clinic for this key. A clinic that belongs to somebody else gets the same answer as one that does "
        "not exist.",
        "Check the clinic id in the path against the clinic the key was issued for.",
        "A clínica não existe para esta chave; confira o identificador da clínica no caminho.",
    ),
    Explanation(
        errors.ChannelNotFoundError,
        "The clinic has no such channel, it was deleted, or the key is limited to other channels.",
        "List the channels that this key may see with `GET /v1/clinics/{clinic_id}/channels`.",
        "O canal não existe nesta clínica, foi excluído ou está fora do alcance desta chave.",
    ),
    Explanation(
        errors.MessageNotFoundError,
        "The channel has no message with this id.",
        "Use the `message_id` of the answer to the send or of the webhook, under the same channel.",
        "A mensagem não existe neste canal.",
    ),
    Explanation(
        errors.ApiKeyNotFoundError,
        "The clinic has no API key with this id, or this key may not see it.",
        "List the keys with `GET /v1/clinics/{clinic_id}/api-keys`.",
        "A chave de API não existe nesta clínica.",
    ),
    Explanation(
        errors.WebhookEndpointNotFoundError,
        "The clinic has no webhook endpoint with this id, or the key is limited to channels the endpoint does not "
        "keep to.",
        "List the endpoints with `GET /v1/clinics/{clinic_id}/webhook-endpoints`.",
        "O endpoint de webhook não existe nesta clínica.",
    ),
    Explanation(
        errors.DeliveryNotFoundError,
        "The endpoint has no delivery with this id. Deliveries are kept for 30 days.",
        "List them with `GET …/webhook-endpoints/{webhook_endpoint_id}/deliveries`.",
        "A entrega não existe neste endpoint ou já passou dos 30 dias de guarda.",
    ),
    Explanation(
        errors.PairingCodeNotFoundError,
        "The channel is not waiting to be paired, or its code has expired and no new one came within the time asked "
        "for.",
        "Call `POST …/connect` first, then ask again with `?wait=20`.",
        "O canal não está aguardando pareamento ou o código expirou; chame `connect` e consulte de novo com "
        "`?wait=20`.",
    ),
    Explanation(
        errors.DataErasedError,
        "The clinic's encryption key was erased, on its request: what was kept under it can never be read again, and "
        "nothing new can be kept for this clinic.",
        "There is no way back. A clinic that returns is created anew and pairs its channels again.",
        "A chave de criptografia da clínica foi apagada; os dados não podem mais ser lidos. Crie a clínica de novo.",
    ),
    Explanation(
        errors.ChannelExistsError,
        "The clinic already has a channel with this `external_id`.",
        "Use the existing channel (list the channels to find it) or choose another `external_id`.",
        "A clínica já tem um canal com este `external_id`; use o existente ou escolha outro.",
    ),
    Explanation(
        errors.ChannelStateError,
        "The channel's present state does not allow the operation, for example sending through a number that was "
        "logged out or banned.",
        "Read the channel: `state`, `reason` and `next_action` say what to do.",
        "O estado atual do canal não permite a operação; consulte o canal e siga `next_action`.",
    ),
    Explanation(
        errors.MessageStateError,
        "The message's status does not allow this: only an `uncertain` message can be settled. Somebody may have "
        "decided before, or evidence came that it went out.",
        "Read the message: its `status` and `history` say what became of it.",
        "O status da mensagem não permite a operação: só uma mensagem `uncertain` pode ser resolvida. Consulte a "
        "mensagem.",
    ),
    Explanation(
        errors.ChannelNotConnectedError,
        "The operation needs a live connection to WhatsApp and the channel has none. (Sending does not: messages are "
        "queued.)",
        "Connect the channel, or wait with `GET …/channels/{channel_id}?wait_for=connected`.",
        "A operação exige o canal conectado; conecte-o ou aguarde com `?wait_for=connected`.",
    ),
    Explanation(
        errors.IdempotencyConflictError,
        "The `Idempotency-Key` was used within the last 24 hours for a request with another body.",
        "Use a new key for a new message; repeat the very same body to repeat a request.",
        "A `Idempotency-Key` já foi usada com outro corpo nas últimas 24 horas; use uma chave nova.",
    ),
    Explanation(
        errors.NumberInUseError,
        "The WhatsApp number is already held on this platform; which clinic holds it is not disclosed.",
        "Log the number out where it is connected, or contact support.",
        "O número de WhatsApp já está em uso nesta plataforma.",
    ),
    Explanation(
        errors.LimitReachedError,
        "The clinic has as many of these as it may.",
        "Delete one that is no longer needed, or ask for a higher limit.",
        "A clínica atingiu o limite; exclua um item que não usa mais ou peça um limite maior.",
    ),
    Explanation(
        errors.RateLimitedError,
        "Too many requests came in too short a time, from one address, with one key or altogether.",
        "Wait as long as `Retry-After` says and slow down.",
        "Requisições demais em pouco tempo; aguarde o indicado em `Retry-After`.",
    ),
    Explanation(
        errors.InternalError,
        "Something on our side that nobody foresaw; it is logged under the `request_id`.",
        "Repeat the request (sends with the same `Idempotency-Key`); if it happens again, report the `request_id`.",
        "Erro inesperado do nosso lado; tente de novo e, se persistir, informe o `request_id` ao suporte.",
    ),
    Explanation(
        errors.ServiceUnavailableError,
        "A store or a queue that the API depends on does not answer, or the API itself did not answer in time.",
        "Repeat the request after a few seconds (sends with the same `Idempotency-Key`: nothing is sent twice).",
        "Um serviço interno não responde; repita em alguns segundos com a mesma `Idempotency-Key`.",
    ),
    Explanation(
        errors.NoShardAvailableError,
        "Every shard is full, so that no new channel can be placed.",
        "Try again later; the operators are opening capacity.",
        "Não há capacidade para um novo canal agora; tente mais tarde.",
    ),
    Explanation(
        errors.CheckTimedOutError,
        "WhatsApp or the runner did not answer within the 20 seconds a caller can wait.",
        "Ask again: answers that came late are kept and served at once.",
        "O WhatsApp não respondeu a tempo; consulte de novo, respostas atrasadas ficam guardadas.",
    ),
)


def leaves(root: type[errors.RecadoError] = errors.RecadoError) -> Iterator[type[errors.RecadoError]]:
    """Yield every error that can be raised: the classes of the tree that declare a code of their own."""
    if "code" in vars(root):
        yield root
    for child in root.__subclasses__():
        yield from leaves(child)


def problem_kind(error: type[errors.RecadoError] | errors.RecadoError) -> str:
    """Return the last part of the problem's ``type`` URI.

    All plain not-found errors are one problem type (RFC 9457 wants one title per type); ``code`` tells them apart.
    """
    return "not_found" if error.title == "Not found" else error.code


def as_markdown() -> str:
    """Return the text of ``docs/errors.md``."""
    return _HEAD + "".join(_section(explanation) for explanation in EXPLANATIONS)


def _section(explanation: Explanation) -> str:
    error = explanation.error
    return (
        f"\n## {error.code}\n\n"
        f"**{error.status} {error.title}** (`type` ends in `/errors/{problem_kind(error)}`)\n\n"
        f"- Cause: {explanation.cause}\n"
        f"- Remedy: {explanation.remedy}\n"
        f"- Em português: {explanation.portuguese}\n"
    )


_HEAD = """# Error codes

Every error is an RFC 9457 problem (`application/problem+json`):

```json
{
  "type": "https://api.example.com/errors/channel_exists",
  "title": "Channel exists",
  "status": 409,
  "code": "channel_exists",
  "detail": "The clinic already has a channel with this external id.",
  "field": "external_id",
  "request_id": "req_01kb1v00000000000000000000"
}
```

Decide by `code`: codes never change once released, titles and details may. `field` is a dotted path, or null.
Quote `request_id` (also in the header `X-Request-Id`) when you ask for help.

What API Gateway and its firewall refuse before the API sees it has the same form and the same codes. Its `request_id`
is API Gateway's own (header `x-amzn-RequestId`). Two answers of the firewall, `rate_limited` and `body_too_large`, come
as `Content-Type: application/json` and with `request_id: null`: AWS WAF offers nothing else. Every other is
`application/problem+json`.

The running API serves this list under `/errors`. This file is rendered from `functions/api/error_catalogue.py`
with `python -m functions.api.error_catalogue > docs/errors.md`.
"""


if __name__ == "__main__":
    import sys

    sys.stdout.write(as_markdown())
