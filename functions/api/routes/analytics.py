"""Volumes: how many messages came and went."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1/clinics/{clinic_id}/analytics", tags=["analytics"])
