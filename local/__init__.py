"""The local stack: one command brings the whole platform up on one machine."""
