"""The phone's history, as the real client tells it to a host."""

import pytest

from tests.e2e.host.harness import CLINIC, PATIENT, HostBench, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]


async def test_history_that_comes_while_a_pairing_ends_is_journalled(bench: HostBench) -> None:
    """The host that links is stopped at once; what the phone tells it by then is not lost, and is no message."""
    await bench.call("POST", "/phones", number=CLINIC)
    await bench.phone(CLINIC, "history", conversations=[{"with": PATIENT, "days_ago": 2}])
    await bench.link()
    await bench.connected()
    (row,) = await eventually(lambda: bench.rows("contacts.in_history"))
    (contact,) = row.data["contacts"]
    assert (contact["e164"], contact["lid"].endswith("@lid")) == (f"+{PATIENT}", True)
    (device,) = (await bench.call("GET", f"/phones/{CLINIC}"))["devices"]
    assert device["waiting"] == 0
    assert bench.rows("message.received") == bench.rows("message.phone_sent") == bench.rows("message.unmapped") == []
