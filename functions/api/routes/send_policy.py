"""What a clinic wants of sending."""

from fastapi import APIRouter

from functions.api.auth import needs
from functions.api.schemas.sending import SendPolicyAnswer, SendPolicyChange
from recado.clinics import service as clinics
from recado.clinics.model import Scope
from recado.messages import service as messages
from recado.messages.policy import SendPolicy

router = APIRouter(prefix="/v1/clinics/{clinic_id}/send-policy", tags=["messages"])


@router.get("", summary="Read the send policy", dependencies=[needs(Scope.CLINICS_ADMIN)])
def get_send_policy(clinic_id: str) -> SendPolicyAnswer:
    """Read what the clinic wants of sending. Pace and limits are the platform's and not part of it."""
    clinics.get_clinic(clinic_id)
    return _show(messages.send_policy(clinic_id))


@router.patch("", summary="Change the send policy", dependencies=[needs(Scope.CLINICS_ADMIN)])
def change_send_policy(clinic_id: str, body: SendPolicyChange) -> SendPolicyAnswer:
    """Change the fields that are sent. It holds for what becomes uncertain from now on, not for what already is."""
    if body.uncertain is None:
        return get_send_policy(clinic_id)
    return _show(messages.change_send_policy(clinic_id, uncertain=body.uncertain))


def _show(policy: SendPolicy) -> SendPolicyAnswer:
    return SendPolicyAnswer.model_validate(policy)
