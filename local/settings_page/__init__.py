"""Writes ``docs/settings.md``: every setting of every process, as the code has them."""
