"""A clinic's send policy and its decisions about uncertain messages, on the wire."""

from typing import Literal

from pydantic import Field

from functions.api.schemas.base import Answer, Given, Moment, with_example
from recado.messages.model import Decision
from recado.messages.policy import MOST_RESENDS, Uncertain


class SendPolicyAnswer(Answer):
    """What a clinic wants of sending."""

    model_config = with_example({"uncertain": "hold", "updated_at": None})

    uncertain: Uncertain = Field(
        description="What becomes of a message of which nobody knows whether it went out: `hold` waits for "
        f"`POST …/settle`; `resend` sends it again by itself, at most {MOST_RESENDS} times."
    )
    updated_at: Moment | None = Field(description="When it was last changed; null if never.")


class SendPolicyChange(Given):
    """A change of a clinic's send policy; fields left out stay as they are."""

    model_config = with_example({"uncertain": "resend"})

    uncertain: Uncertain | None = Field(
        None, description="`resend` accepts that a patient may now and then read a message twice."
    )


class SettleRequest(Given):
    """A decision about a message of which nobody knows whether it went out."""

    model_config = with_example({"decision": "resend"})

    decision: Decision = Field(
        description="`resend` queues the same message again, `discard` ends it as `failed` with the code `discarded`."
    )


class SettledAnswer(Answer):
    """What became of the message by the decision."""

    model_config = with_example({"message_id": "msg_01kb1v00000000000000000000", "status": "queued", "code": "resent"})

    message_id: str
    status: Literal["queued", "failed"]
    code: Literal["resent", "discarded"]
