"""Deciding about messages of which nobody knows whether they went out."""

from fastapi import APIRouter, Response

from functions.api import sessions
from functions.api.auth import needs
from functions.api.documentation import problems
from functions.api.routes.messages import IdempotencyKey
from functions.api.schemas.sending import SettledAnswer, SettleRequest
from recado.channels import service as channels
from recado.clinics.model import Scope
from recado.kernel.errors import IdempotencyConflictError, MessageNotFoundError, MessageStateError
from recado.messages import service as messages

router = APIRouter(prefix="/v1/clinics/{clinic_id}", tags=["messages"])


@router.post(
    "/channels/{channel_id}/messages/{message_id}/settle",
    summary="Settle an uncertain message",
    responses=problems(MessageNotFoundError, MessageStateError, IdempotencyConflictError),
    dependencies=[needs(Scope.MESSAGES_SEND)],
)
def settle_message(
    clinic_id: str,
    channel_id: str,
    message_id: str,
    *,
    body: SettleRequest,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> SettledAnswer:
    """Decide about a message whose status is `uncertain`: send it again, or give it up.

    Of two decisions one holds, the other gets 409 `message_state`; so does one that comes after evidence that the
    message went out. A message that is sent again stands behind those accepted meanwhile and keeps its `ttl`.
    Should evidence come before the second try has begun, the message becomes `sent` and does not go out again.
    """
    channel = channels.get(clinic_id, channel_id)
    settlement = messages.decide(clinic_id, channel_id, message_id, body.decision, idempotency_key)
    if settlement.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    sessions.ring(channel)
    return SettledAnswer.model_validate(
        {"message_id": settlement.message_id, "status": settlement.status.value, "code": settlement.code}
    )
