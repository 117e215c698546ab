"""Channels: a clinic's WhatsApp numbers, what is wanted of them and what became of them."""
