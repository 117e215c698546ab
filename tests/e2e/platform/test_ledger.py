"""Every record of a talk agrees to the message."""

import json
import warnings
from collections.abc import Callable
from dataclasses import asdict

import pytest

from tests.bench.platform import Addresses
from tests.bench.soak import soak

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
_EACH_WAY = 100


async def test_two_clinics_talk_both_ways_and_nothing_is_lost_doubled_or_misplaced(
    addresses: Addresses, record_property: Callable[[str, object], None]
) -> None:
    """Contacts' phones, message logs and webhooks hold each message once, though the receiver is away for a while.

    ``lost_key_reuse`` is counted apart: a Signal key that the WhatsApp client used twice makes a message unreadable at
    the contact. That is the client's fault, is told here, and must not hide a loss of ours.
    """
    result = await soak(addresses, out=_EACH_WAY, inward=_EACH_WAY, contacts=10, per_second=2.5, restart_receiver=True)
    record_property("soak", json.dumps(asdict(result)))
    if result.lost_key_reuse:
        warnings.warn(f"the client lost {result.lost_key_reuse} messages by using a Signal key twice", stacklevel=1)
    assert (result.out_accepted, result.in_sent) == (_EACH_WAY, _EACH_WAY)
    assert (result.lost_ours, result.doubled, result.foreign) == (0, 0, 0), result
    assert (result.in_logged, result.in_webhooked) == (_EACH_WAY, _EACH_WAY), result
    assert result.out_at_contact + result.lost_key_reuse == _EACH_WAY, result
