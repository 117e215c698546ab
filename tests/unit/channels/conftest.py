"""A channel to work with."""

from dataclasses import dataclass

import pytest

from recado.channels import service as channels
from recado.channels.model import Channel, ChannelState
from recado.channels.reporting import ApplyResult
from tests.support.clock import FixedClock

PHONE = "+5511988880001"


@dataclass
class Stage:
    """A clinic's channel and the short ways of doing to it what its runner does."""

    clinic_id: str
    channel_id: str
    clock: FixedClock
    sequence: int = 0

    @property
    def names(self) -> tuple[str, str]:
        return self.clinic_id, self.channel_id

    def channel(self) -> Channel:
        return channels.get(*self.names)

    def report(self, state: ChannelState | str, **more: object) -> ApplyResult:
        """Report a state under the next sequence."""
        self.sequence += 1
        return channels.apply_state(
            *self.names,
            state=ChannelState(state),
            reason=None,
            sequence=self.sequence,
            observed_at=self.clock.now(),
            **more,  # type: ignore[arg-type]
        )

    def link(self, phone: str = PHONE) -> Channel:
        """Ask for linking, have it scanned and connected."""
        channels.request_connect(*self.names, "qr", clock=self.clock)
        linked = channels.claim_number(*self.names, phone, "1@lid", clock=self.clock)
        self.report("connected", phone=phone)
        return linked


@pytest.fixture
def stage(aurora: str, clock: FixedClock) -> Stage:
    """A channel of the clinic Aurora, fresh."""
    channel = channels.create(aurora, "Recepção", "recepcao", clock=clock)
    return Stage(aurora, channel.channel_id, clock)


@pytest.fixture
def others(brisa: str, clock: FixedClock) -> Stage:
    """A channel of the other clinic, under the same external id."""
    channel = channels.create(brisa, "Recepção", "recepcao", clock=clock)
    return Stage(brisa, channel.channel_id, clock)
