"""What a runner reports and keeps of its channels."""

import threading
from datetime import timedelta

import pytest

from recado.channels import service as channels
from recado.channels.model import ChannelState, Desired, Liveness, PairingCode, PairingMethod
from recado.channels.reports import Outcome
from recado.channels.runtime_table import SequenceRecord, sequence_key
from recado.kernel.errors import ChannelNotFoundError
from tests.support.aws import EmulatedAws
from tests.unit.channels.conftest import PHONE, Stage


def test_a_report_changes_the_state_and_says_what_was_before(stage: Stage) -> None:
    """The first report of each state is a change, its repetition under a new sequence is none."""
    channels.request_connect(*stage.names, "qr", clock=stage.clock)
    first = stage.report("pairing")
    assert (first.changed, first.previous, first.outcome) == (True, ChannelState.CREATED, Outcome.STAYED)
    assert not stage.report("pairing").changed
    stage.clock.advance(30)
    moved = stage.report("connected")
    assert (moved.changed, moved.previous, moved.outcome) == (True, ChannelState.PAIRING, Outcome.MOVED)
    channel = stage.channel()
    assert (channel.state, channel.state_since, channel.state_sequence) == ("connected", stage.clock.now(), 3)


def test_a_report_again_answers_the_same(stage: Stage) -> None:
    """Whoever announces changes may crash in between and ask again."""
    first = stage.report("connecting")
    stage.sequence -= 1
    again = stage.report("connecting")
    assert (again.changed, again.previous) == (first.changed, first.previous)
    assert again.outcome is Outcome.REPLAYED


def test_a_late_report_changes_nothing(stage: Stage) -> None:
    """Queues keep no order."""
    stage.sequence = 9
    stage.report("connected")
    before = stage.channel()
    stage.sequence = 4
    late = stage.report("disconnected")
    assert (late.changed, late.outcome) == (False, Outcome.OUTDATED)
    assert stage.channel() == before


def test_parallel_reports_leave_the_newest(stage: Stage) -> None:
    """In whatever order they are written."""
    states = ["connecting", "connected", "disconnected", "connecting", "connected", "replaced"]

    def report(sequence: int) -> None:
        Stage(stage.clinic_id, stage.channel_id, stage.clock, sequence).report(states[sequence])

    threads = [threading.Thread(target=report, args=(sequence,)) for sequence in range(len(states))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (stage.channel().state, stage.channel().state_sequence) == (ChannelState.REPLACED, len(states))


def test_the_end_of_an_attempt_ends_the_wish_unless_there_is_a_newer(stage: Stage) -> None:
    """A QR code nobody scanned ends the wish to connect; a request made since then stands."""
    asked = channels.request_connect(*stage.names, "qr", clock=stage.clock)
    newer = channels.request_connect(*stage.names, "code", PHONE, clock=stage.clock)
    stage.report("disconnected", clear_desired_version=asked.desired_version)
    assert stage.channel().desired is Desired.CONNECTED
    stage.report("disconnected", clear_desired_version=newer.desired_version)
    assert (stage.channel().desired, stage.channel().pairing) == (Desired.DISCONNECTED, None)


def test_the_report_of_a_deletion_is_a_change_although_it_was_done_already(stage: Stage) -> None:
    """So that it is announced; late reports of before are not."""
    stage.link()
    channels.request_delete(*stage.names)
    channels.finish_delete(*stage.names)
    late = stage.report("logged_out")
    assert (late.changed, late.outcome) == (False, Outcome.IGNORED)
    done = stage.report("deleted")
    assert (done.changed, done.previous) == (True, ChannelState.CONNECTED)
    with pytest.raises(ChannelNotFoundError):
        stage.channel()


def test_a_number_that_was_not_claimed_is_not_believed(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A report cannot give a channel a number; it is logged, the number masked."""
    stage.report("connected", phone="+5511900000009")
    assert stage.channel().phone is None


def test_sequences_are_given_out_once(stage: Stage, others: Stage) -> None:
    """Blocks do not overlap, also between parallel askers; another channel has its own."""
    blocks: list[int] = []
    threads = [
        threading.Thread(target=lambda: blocks.append(channels.reserve_sequences(*stage.names, 10))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(blocks) == [1, 11, 21, 31, 41]
    assert channels.reserve_sequences(*others.names, 1) == 1
    with pytest.raises(ValueError, match="at least one"):
        channels.reserve_sequences(*stage.names, 0)


def test_a_lost_counter_begins_after_what_was_seen(stage: Stage) -> None:
    """The counter's table is in no backup; reports after its loss must not look old."""
    stage.sequence = 40
    stage.report("connected")
    SequenceRecord(*sequence_key(*stage.names)).remove()
    assert channels.reserve_sequences(*stage.names, 5) == 42


def test_a_pairing_code_is_there_until_it_expires(stage: Stage, others: Stage) -> None:
    """To the moment, for its channel only, the newest in place of the one before."""
    until = stage.clock.now() + timedelta(seconds=20.5)
    channels.put_pairing_code(*stage.names, "qr", "first", until)
    channels.put_pairing_code(*stage.names, PairingMethod.QR, "second", until)
    found = channels.get_pairing_code(*stage.names, clock=stage.clock)
    assert found == PairingCode(PairingMethod.QR, "second", until)
    assert channels.get_pairing_code(*others.names, clock=stage.clock) is None
    assert channels.get_pairing_code(others.clinic_id, stage.channel_id, clock=stage.clock) is None
    stage.clock.advance(20.4)
    assert channels.get_pairing_code(*stage.names, clock=stage.clock) is not None
    stage.clock.advance(0.1)
    assert channels.get_pairing_code(*stage.names, clock=stage.clock) is None


def test_a_pairing_code_can_be_taken_away(stage: Stage) -> None:
    """After linking it is of no use but to a thief."""
    channels.put_pairing_code(*stage.names, "qr", "code", stage.clock.now() + timedelta(seconds=20))
    channels.remove_pairing_code(*stage.names)
    channels.remove_pairing_code(*stage.names)
    assert channels.get_pairing_code(*stage.names, clock=stage.clock) is None


def test_an_older_task_does_not_override_liveness(stage: Stage, others: Stage) -> None:
    """What the task of the newer epoch says stands; the other clinic sees nothing."""
    now = stage.clock.now()
    assert channels.put_liveness(*stage.names, connected=False, last_frame_at=None, epoch=1)
    assert channels.put_liveness(*stage.names, connected=True, last_frame_at=now, epoch=2)
    assert not channels.put_liveness(*stage.names, connected=False, last_frame_at=None, epoch=1)
    assert channels.get_liveness(*stage.names) == Liveness(True, now, 2)
    assert channels.get_liveness(others.clinic_id, stage.channel_id) is None


def test_an_answer_waits_for_who_asked(stage: Stage, others: Stage, aws: EmulatedAws) -> None:
    """Under the request's id, for five minutes, for its clinic only."""
    results = [{"e164": PHONE, "on_whatsapp": True, "registered_e164": PHONE, "lid": None}]
    assert channels.get_check_result(*stage.names, "req_1", clock=stage.clock) is None
    channels.put_check_result(*stage.names, "req_1", results, clock=stage.clock)
    assert channels.get_check_result(*stage.names, "req_1", clock=stage.clock) == results
    assert channels.get_check_result(*stage.names, "req_2", clock=stage.clock) is None
    assert channels.get_check_result(others.clinic_id, stage.channel_id, "req_1", clock=stage.clock) is None
    stage.clock.advance(300)
    assert channels.get_check_result(*stage.names, "req_1", clock=stage.clock) is None
