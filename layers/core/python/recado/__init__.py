"""Recado's domain: what a clinic, a channel and a message are, and the rules that keep them apart."""

__version__ = "0.1.0"
