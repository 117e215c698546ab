"""Host processes as the supervisor sees them; ``session_runner.host`` is what runs inside one."""
