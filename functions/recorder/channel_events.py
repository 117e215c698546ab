"""The events of channels."""

from datetime import datetime

from recado.channels.model import ChannelState
from recado.kernel.clock import to_text
from recado.kernel.envelopes import Entry, Event
from recado.kernel.ids import Prefix, derived_id, time_of

STATE_CHANGED = "channel.state_changed"
PAIRING_CODE_READY = "channel.qr_ready"
OWN_EVENT = frozenset(
    {
        ChannelState.CONNECTED,
        ChannelState.DISCONNECTED,
        ChannelState.LOGGED_OUT,
        ChannelState.BANNED,
        ChannelState.REPLACED,
        ChannelState.REJECTED,
    }
)


def state_events(
    entry: Entry,
    state: ChannelState,
    reason: str | None,
    previous: ChannelState | None,
    ban_expires_at: datetime | None,
) -> list[Event]:
    """Return ``channel.state_changed`` and, where the state has one, the event of its own name.

    Args:
        entry: the report.
        state: what the channel is now.
        reason: why.
        previous: what it was; None if reports overtook each other and nobody knows.
        ban_expires_at: for ``banned``, when it ends.
    """
    data = {"state": state.value, "reason": reason, "previous": previous.value if previous else None}
    events = [_event(entry, STATE_CHANGED, entry.entry_id, data)]
    if state in OWN_EVENT:
        own = f"channel.{state.value}"
        if state is ChannelState.BANNED:
            data = {**data, "ban_expires_at": to_text(ban_expires_at) if ban_expires_at else None}
        events.append(_event(entry, own, derived_id(Prefix.EVENT, time_of(entry.entry_id), entry.entry_id, own), data))
    return events


def pairing_code_event(entry: Entry, method: str, expires_at: datetime) -> Event:
    """Return the event that a code lies ready; the code is a secret and only to be fetched."""
    return _event(entry, PAIRING_CODE_READY, entry.entry_id, {"method": method, "expires_at": to_text(expires_at)})


def _event(entry: Entry, event_type: str, event_id: str, data: dict[str, str | None]) -> Event:
    return Event(
        id=event_id,
        type=event_type,
        clinic_id=entry.clinic_id,
        channel_id=entry.channel_id,
        sequence=entry.sequence,
        timestamp=entry.observed_at,
        data=dict(data),
    )
