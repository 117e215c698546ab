"""Linking a device in a host that exists for nothing else."""

from collections.abc import Callable
from functools import partial
from typing import Any

from session_runner.host.registry import Registry
from session_runner.hosts.errors import HostError
from session_runner.whatsapp.lifecycle import Change, SessionState
from session_runner.whatsapp.pairing import Pairing, PairingMethod
from session_runner.whatsapp.session import Session, SessionKey


def begin_linking(
    registry: Registry, key: SessionKey, method: PairingMethod, phone: str | None, end: Callable[[], None]
) -> None:
    """Start a session that shows codes until a phone takes one.

    Notices: ``pairing_code``, then ``paired`` once connected, or ``pairing_ended``, with which the process ends.

    Args:
        registry: the host's sessions.
        key: the session; its file holds no device yet.
        method: QR code or eight letters.
        phone: the number to link, as ``+5511…``; needed for letters.
        end: ends the process.

    Raises:
        HostError: ``invalid_request`` without a number for letters, else as ``Registry.admit_unpaired``.
    """
    if method is PairingMethod.CODE and not phone:
        raise HostError("invalid_request", "a code needs the phone's number")

    def give_up(reason: str) -> None:
        registry.notify(key, "pairing_ended", {"reason": reason})
        end()

    def request_code(number: str) -> str:
        return session.request_pairing_code(number)

    pairing = Pairing(method, phone, request_code, partial(registry.notify, key), give_up)
    session = registry.admit_unpaired(
        key,
        changed=partial(_watch, registry, pairing),
        on_qr_code=pairing.on_qr_code,
        on_login_status=pairing.on_login_status,
    )
    pairing.begin()
    session.start(wait=False)


def device_data(session: Session) -> dict[str, Any]:
    """Return whose session it is: ``{"jid", "lid", "phone"}``."""
    device = session.device()
    if device is None:
        return {"jid": None, "lid": None, "phone": None}
    return {"jid": device.jid, "lid": device.party.lid, "phone": device.party.e164}


def _watch(registry: Registry, pairing: Pairing, session: Session, change: Change) -> None:
    if change.state is SessionState.CONNECTED and pairing.connected():
        registry.notify(session.key, "paired", device_data(session))
    elif change.state is SessionState.PUMP_ENDED:
        pairing.fail(change.details["reason"])
    elif change.state is not None and change.state.is_over:
        pairing.fail(change.event)
