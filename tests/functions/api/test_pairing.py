"""Getting the code that links a number."""

import io
from datetime import UTC, datetime, timedelta

import segno

from recado.channels import service as channels
from recado.channels.model import PairingMethod
from tests.functions.api.support import Caller, CountingTime, assert_problem, link

_CODE = "https://wa.me/settings/linked_devices#2@AbCdEf,GhIjKl,MnOpQr"


def _show(clinic: Caller, channel_id: str, method: PairingMethod, code: str = _CODE, seconds: float = 60) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    channels.put_pairing_code(clinic.clinic_id, channel_id, method, code, expires_at)


def _pairing(clinic: Caller, **body: str) -> str:
    channel_id = clinic.channel()
    assert clinic.post(f"channels/{channel_id}/connect", body or {"method": "qr"}).status_code == 202
    return channel_id


def test_the_qr_code_comes_as_json_by_default(aurora: Caller) -> None:
    """The shape of the tour."""
    channel_id = _pairing(aurora)
    _show(aurora, channel_id, PairingMethod.QR)
    answer = aurora.get(f"channels/{channel_id}/qr")
    assert answer.status_code == 200
    assert answer.json()["code"] == _CODE
    assert answer.json()["expires_at"].endswith("Z")
    assert answer.headers["cache-control"] == "no-store"


def test_the_qr_code_comes_as_a_picture(aurora: Caller) -> None:
    """A PNG that holds the very code."""
    channel_id = _pairing(aurora)
    _show(aurora, channel_id, PairingMethod.QR)
    answer = aurora.get(f"channels/{channel_id}/qr", headers={"Accept": "image/png"})
    expected = io.BytesIO()
    segno.make(_CODE, error="l", micro=False).save(expected, kind="png", scale=8, border=4)
    assert (answer.headers["content-type"], answer.content) == ("image/png", expected.getvalue())


def test_the_qr_code_comes_drawn_as_text(aurora: Caller) -> None:
    """For a terminal."""
    channel_id = _pairing(aurora)
    _show(aurora, channel_id, PairingMethod.QR)
    answer = aurora.get(f"channels/{channel_id}/qr", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "▄" in answer.text


def test_a_code_that_is_not_there_yet_is_waited_for(aurora: Caller, time: CountingTime) -> None:
    """The runner needs a moment to get one from WhatsApp."""
    channel_id = _pairing(aurora)
    time.after(4, lambda: _show(aurora, channel_id, PairingMethod.QR))
    assert aurora.get(f"channels/{channel_id}/qr?wait=20").json()["code"] == _CODE
    assert 4 <= time.slept < 6


def test_no_code_in_time_is_404(aurora: Caller, time: CountingTime) -> None:
    """After exactly as long as was asked for; expired codes do not count."""
    channel_id = _pairing(aurora)
    _show(aurora, channel_id, PairingMethod.QR, seconds=-1)
    assert_problem(aurora.get(f"channels/{channel_id}/qr?wait=7"), 404, "pairing_code_not_found")
    assert time.slept == 7


def test_waiting_has_limits(aurora: Caller) -> None:
    """0 to 20 seconds."""
    channel_id = _pairing(aurora)
    for wait in ("-1", "21", "x"):
        assert_problem(aurora.get(f"channels/{channel_id}/qr?wait={wait}"), 422, "invalid_request", "wait")


def test_a_channel_that_nobody_connects_has_no_code_at_once(aurora: Caller, time: CountingTime) -> None:
    """There is nothing to wait for."""
    channel_id = aurora.channel()
    assert_problem(aurora.get(f"channels/{channel_id}/qr?wait=20"), 404, "pairing_code_not_found")
    assert time.slept == 0


def test_a_linked_channel_answers_409(aurora: Caller, time: CountingTime) -> None:
    """Also when it is linked while somebody waits for the next code."""
    channel_id = _pairing(aurora)
    time.after(2, lambda: link(aurora, channel_id, "+5511988880001"))
    assert_problem(aurora.get(f"channels/{channel_id}/qr?wait=20"), 409, "channel_state")
    assert time.slept < 4


def test_the_code_to_type_in_has_a_path_of_its_own(aurora: Caller) -> None:
    """Pairing by code shows no QR code, and the other way round."""
    channel_id = _pairing(aurora, method="code", phone="+5511988880001")
    _show(aurora, channel_id, PairingMethod.CODE, "ABCD-1234")
    assert aurora.get(f"channels/{channel_id}/pairing-code").json()["code"] == "ABCD-1234"
    assert_problem(aurora.get(f"channels/{channel_id}/qr"), 404, "pairing_code_not_found")
    other = _pairing(aurora)
    _show(aurora, other, PairingMethod.QR)
    assert_problem(aurora.get(f"channels/{other}/pairing-code"), 404, "pairing_code_not_found")
