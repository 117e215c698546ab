"""A host: the process that holds up to some tens of sessions.

``hosts.Host`` starts it as ``python -m session_runner.host``. An abort inside the Go library cannot be caught, so a
host is expendable: its supervisor starts another one, whose sessions reopen the same files.
"""
