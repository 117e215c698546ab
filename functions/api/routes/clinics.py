"""Clinics: created and listed by the operators, read and changed by them and by the clinic's own administrators."""

from typing import Annotated

from fastapi import APIRouter, Query, status

from functions.api.auth import ClinicsAdmin, needs, require_platform
from functions.api.listing import Listing
from functions.api.schemas.base import Listed, PageQuery
from functions.api.schemas.clinics import ClinicAnswer, ClinicChange, NewClinic
from recado.clinics import service as clinics
from recado.clinics.model import Clinic, Scope
from recado.kernel.errors import InsufficientScopeError

router = APIRouter(prefix="/v1/clinics", tags=["clinics"])

_FOR_OPERATORS = frozenset({"tier", "status"})


@router.post("", status_code=status.HTTP_201_CREATED, summary="Create a clinic")
def create_clinic(principal: ClinicsAdmin, body: NewClinic) -> ClinicAnswer:
    """Create a tenant. Needs a platform key."""
    require_platform(principal)
    return _show(clinics.create_clinic(**body.model_dump()))


@router.get("", summary="List the clinics")
def list_clinics(principal: ClinicsAdmin, query: Annotated[PageQuery, Query()]) -> Listed[ClinicAnswer]:
    """List all tenants, oldest first. Needs a platform key."""
    require_platform(principal)
    listing = Listing("list_clinics", query)
    return listing.answer(clinics.list_clinics(query.limit, listing.start()), _show)


@router.get("/{clinic_id}", summary="Read a clinic", dependencies=[needs(Scope.CLINICS_ADMIN)])
def get_clinic(clinic_id: str) -> ClinicAnswer:
    """Read one tenant."""
    return _show(clinics.get_clinic(clinic_id))


@router.patch("/{clinic_id}", summary="Change a clinic")
def update_clinic(principal: ClinicsAdmin, clinic_id: str, body: ClinicChange) -> ClinicAnswer:
    """Change the fields that are sent. Tier and status are set by the operators only."""
    changes = body.model_dump(exclude_unset=True)
    if _FOR_OPERATORS & changes.keys():
        try:
            require_platform(principal)
        except InsufficientScopeError as error:
            raise InsufficientScopeError("Tier and status are set by the platform's operators.") from error
    return _show(clinics.update_clinic(clinic_id, changes))


def _show(clinic: Clinic) -> ClinicAnswer:
    return ClinicAnswer.model_validate(clinic)
