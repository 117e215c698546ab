"""What links a number: the QR code as text, picture or JSON, and the code to type in."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse

from functions.api import qr_codes
from functions.api.auth import needs
from functions.api.documentation import problems
from functions.api.media_types import preferred
from functions.api.schemas.channels import PairingCodeAnswer, PairingQuery
from functions.api.waiting import Patience, patience
from recado.channels import service as channels
from recado.channels.model import ChannelState, PairingCode
from recado.clinics.model import Scope
from recado.kernel.errors import ChannelStateError, PairingCodeNotFoundError

router = APIRouter(prefix="/v1/clinics/{clinic_id}/channels/{channel_id}", tags=["channels"])

_JSON, _PNG, _TEXT = "application/json", "image/png", "text/plain"

_QR_ANSWERS: Mapping[int | str, dict[str, Any]] = {
    200: {
        "description": "The code, in the format that `Accept` asks for.",
        "content": {
            _PNG: {"schema": {"type": "string", "format": "binary"}},
            _TEXT: {"schema": {"type": "string"}, "example": "█▀▀▀▀▀█ ▄▀ █▀▀▀▀▀█"},
        },
    }
}


@router.get(
    "/qr",
    summary="Get the QR code",
    response_model=PairingCodeAnswer,
    responses={**_QR_ANSWERS, **problems(PairingCodeNotFoundError, ChannelStateError)},
    dependencies=[needs(Scope.CHANNELS_WRITE)],
)
def get_qr_code(
    clinic_id: str,
    channel_id: str,
    query: Annotated[PairingQuery, Query()],
    waiting: Annotated[Patience, Depends(patience)],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Get the present QR code as JSON, as a PNG picture (`Accept: image/png`) or drawn as text (`text/plain`).

    WhatsApp replaces the code every 20 to 60 seconds: ask again when `expires_at` has passed. Reading it needs
    `channels:write`, since whoever scans it holds the number's messages.
    """
    code = _await_code(clinic_id, channel_id, "qr", query.wait, waiting)
    chosen = preferred(accept, (_JSON, _PNG, _TEXT))
    if chosen == _PNG:
        return Response(qr_codes.as_png(code.code), media_type=_PNG)
    if chosen == _TEXT:
        return Response(qr_codes.as_text(code.code), media_type="text/plain; charset=utf-8")
    return JSONResponse(_show(code).model_dump(mode="json"))


@router.get(
    "/pairing-code",
    summary="Get the code to type in",
    responses=problems(PairingCodeNotFoundError, ChannelStateError),
    dependencies=[needs(Scope.CHANNELS_WRITE)],
)
def get_pairing_code(
    clinic_id: str,
    channel_id: str,
    query: Annotated[PairingQuery, Query()],
    waiting: Annotated[Patience, Depends(patience)],
) -> PairingCodeAnswer:
    """Get the eight characters to type into WhatsApp under Linked devices, after connecting by `code`."""
    return _show(_await_code(clinic_id, channel_id, "code", query.wait, waiting))


def _await_code(clinic_id: str, channel_id: str, method: str, seconds: int, waiting: Patience) -> PairingCode:
    """Return the channel's pairing code, waiting for one while the channel is about to be paired.

    Raises:
        ChannelStateError: the number is linked already, so there is nothing to scan.
        PairingCodeNotFoundError: nobody asked to pair, it was asked for by the other method, or no code came.
    """

    def look() -> PairingCode | None:
        channel = channels.get(clinic_id, channel_id)
        if channel.state in {ChannelState.CONNECTED, ChannelState.CONNECTING}:
            raise ChannelStateError("The number is linked already.")
        if channel.state is not ChannelState.PAIRING or channel.pairing is None:
            raise PairingCodeNotFoundError("The channel is not waiting to be paired: call connect first.")
        if channel.pairing.method != method:
            raise PairingCodeNotFoundError(f"The channel is being paired by {channel.pairing.method}.")
        found = channels.get_pairing_code(clinic_id, channel_id)
        return found if found is not None and found.method == method else None

    code = waiting.until(look, seconds)
    if code is None:
        raise PairingCodeNotFoundError("No code came in time; ask again.")
    return code


def _show(code: PairingCode) -> PairingCodeAnswer:
    return PairingCodeAnswer(code=code.code, expires_at=code.expires_at)
