"""What is known of a channel only while it runs: ``clinic#<clinic>#channel#<channel>`` in the table ``runtime``.

``pairing_code`` expires with the code, ``liveness`` says when its connection last showed life, ``sequence`` counts the
numbers given out to its reports, ``check#<request>`` holds what WhatsApp answered to somebody who waits for it.
"""

from pynamodb.attributes import BooleanAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute

from recado.aws.attributes import MomentAttribute, WordAttribute
from recado.aws.models import ClinicItem
from recado.channels.model import PairingMethod


class PairingCodeRecord(ClinicItem):
    """A pairing code as stored."""

    table = "runtime"

    method = WordAttribute(PairingMethod)
    code = UnicodeAttribute()
    good_until = MomentAttribute()


class LivenessRecord(ClinicItem):
    """A channel's liveness as stored."""

    table = "runtime"

    connected = BooleanAttribute()
    last_frame_at = MomentAttribute(null=True)
    epoch = NumberAttribute()


class SequenceRecord(ClinicItem):
    """How many sequence numbers of a channel were given out."""

    table = "runtime"

    given = NumberAttribute()


class CheckResultRecord(ClinicItem):
    """What WhatsApp answered about some numbers, as stored."""

    table = "runtime"

    results = JSONAttribute()


def pairing_code_key(clinic_id: str, channel_id: str) -> tuple[str, str]:
    """Return the key of a channel's pairing code."""
    return partition(clinic_id, channel_id), "pairing_code"


def liveness_key(clinic_id: str, channel_id: str) -> tuple[str, str]:
    """Return the key of a channel's liveness."""
    return partition(clinic_id, channel_id), "liveness"


def sequence_key(clinic_id: str, channel_id: str) -> tuple[str, str]:
    """Return the key of a channel's sequence."""
    return partition(clinic_id, channel_id), "sequence"


def check_result_key(clinic_id: str, channel_id: str, request_id: str) -> tuple[str, str]:
    """Return the key of the answer to one request."""
    return partition(clinic_id, channel_id), f"check#{request_id}"


def partition(clinic_id: str, channel_id: str) -> str:
    """Return the partition of what is known of a running channel."""
    return f"clinic#{clinic_id}#channel#{channel_id}"
