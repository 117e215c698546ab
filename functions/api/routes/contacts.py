"""Looking numbers up on WhatsApp, sparingly: what is known is not asked again."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from functions.api import sessions
from functions.api.auth import needs
from functions.api.documentation import problems
from functions.api.schemas.contacts import CheckAnswer, CheckRequest, CheckResult
from functions.api.settings import LONGEST_WAIT_SECONDS
from functions.api.waiting import Patience, patience
from recado.channels import service as channels
from recado.channels.model import Channel
from recado.clinics.model import Scope
from recado.contacts import service as contacts
from recado.contacts.model import Resolution, parse_recipient
from recado.kernel.clock import SystemClock
from recado.kernel.errors import ChannelNotConnectedError, CheckTimedOutError, InvalidPhoneNumberError
from recado.kernel.ids import Prefix, new_id

router = APIRouter(prefix="/v1/clinics/{clinic_id}/channels/{channel_id}/contacts", tags=["contacts"])

_CLOCK = SystemClock()


@router.post(
    "/check",
    summary="Look numbers up on WhatsApp",
    responses=problems(ChannelNotConnectedError, CheckTimedOutError, InvalidPhoneNumberError),
    dependencies=[needs(Scope.MESSAGES_SEND)],
)
def check_contacts(
    clinic_id: str,
    channel_id: str,
    body: CheckRequest,
    waiting: Annotated[Patience, Depends(patience)],
) -> CheckAnswer:
    """Say which numbers have WhatsApp, and under which number and id they are registered.

    Answers are kept for 30 days (24 hours for "not on WhatsApp") and given at once; only the rest needs the channel
    to be connected, and takes up to 20 seconds.
    """
    channel = channels.get(clinic_id, channel_id)
    asked = [(text, _number(text, position)) for position, text in enumerate(body.numbers)]
    known = {e164: contacts.cached(clinic_id, e164) for e164 in {e164 for _, e164 in asked}}
    found = {e164: resolution for e164, resolution in known.items() if resolution is not None}
    missing = sorted(known.keys() - found.keys())
    if missing:
        found |= _look_up(channel, missing, waiting)
    return CheckAnswer(results=[_show(text, found[e164]) for text, e164 in asked])


def _number(text: str, position: int) -> str:
    """Return one of the numbers asked about in its international form."""
    field = f"numbers.{position}"
    e164 = parse_recipient(text, field=field).e164
    if e164 is None:
        raise InvalidPhoneNumberError("This takes phone numbers, not WhatsApp ids.", field=field)
    return e164


def _look_up(channel: Channel, numbers: list[str], waiting: Patience) -> dict[str, Resolution]:
    """Ask WhatsApp by way of the channel's runner, and wait for the answer.

    Raises:
        ChannelNotConnectedError: the channel cannot ask now.
        CheckTimedOutError: no answer, or not about all of them, within 20 seconds.
    """
    request_id = new_id(Prefix.REQUEST)
    sessions.ask_about(channel, request_id, numbers)
    results = waiting.until(
        lambda: channels.get_check_result(channel.clinic_id, channel.channel_id, request_id), LONGEST_WAIT_SECONDS
    )
    answered = {result["e164"]: _resolution(result) for result in results or ()}
    if not answered.keys() >= set(numbers):
        raise CheckTimedOutError("WhatsApp did not answer in time; ask again.")
    return answered


def _resolution(result: dict[str, Any]) -> Resolution:
    return Resolution(
        e164=result["e164"],
        registered_e164=result["registered_e164"],
        jid=None,
        lid=result["lid"],
        on_whatsapp=result["on_whatsapp"],
        checked_at=_CLOCK.now(),
    )


def _show(text: str, resolution: Resolution) -> CheckResult:
    return CheckResult(
        input=text,
        e164=resolution.e164,
        on_whatsapp=resolution.on_whatsapp,
        registered_e164=resolution.registered_e164,
        lid=resolution.lid,
        checked_at=resolution.checked_at,
    )
