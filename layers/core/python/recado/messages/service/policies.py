"""Reading and changing a clinic's send policy."""

from recado.clinics import service as clinics
from recado.kernel.clock import Clock, SystemClock
from recado.messages.policy import SendPolicy, Uncertain
from recado.messages.table import SendPolicyItem

_CLOCK = SystemClock()


def send_policy(clinic_id: str) -> SendPolicy:
    """Return what the clinic wants of sending; what it never said is the default."""
    item = SendPolicyItem.find(f"clinic#{clinic_id}", SendPolicyItem.sort_key)
    return SendPolicy(item.uncertain, item.updated_at) if item else SendPolicy()


def change_send_policy(clinic_id: str, *, uncertain: Uncertain, clock: Clock = _CLOCK) -> SendPolicy:
    """Set what the clinic wants of sending; it holds for what becomes uncertain from now on.

    Raises:
        ClinicNotFoundError: there is no such clinic.
    """
    clinics.get_clinic(clinic_id)
    policy = SendPolicy(uncertain, clock.now())
    SendPolicyItem(
        pk=f"clinic#{clinic_id}",
        sk=SendPolicyItem.sort_key,
        uncertain=policy.uncertain,
        updated_at=policy.updated_at,
    ).store()
    return policy
