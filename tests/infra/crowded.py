"""A stage with more of everything, for tests of what one of each does not show."""

from typing import Any

CLINICS = ("cli_01k0000000000000000000000a", "cli_01k0000000000000000000000b")

CROWDED: dict[str, Any] = {
    "shards": {"shared": 38, "dedicated": list(CLINICS)},
    "trace_aws_calls": True,
    "egress": "nat",
    "task_architecture": "x86_64",
    "container_insights": True,
    "alarm_email": "ops@clinic.example",
    "monthly_budget": 500,
    "dashboard_urls": ["https://painel.example/"],
    "identity_plan": "plus",
}
"""40 shards, two of them dedicated, behind one fixed address, on x86-64; people with the plan of threat protection."""
