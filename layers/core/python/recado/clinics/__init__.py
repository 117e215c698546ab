"""Clinics (the tenants) and the API keys that act for them."""
