"""Whom messages go to: reading what integrators write as a recipient, and what WhatsApp knows of a number."""
