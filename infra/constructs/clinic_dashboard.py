"""One dashboard for every clinic: a variable says which. No metric has clinics as a dimension, so it asks the logs."""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.config import Stage

NO_CLINIC = "cli_00000000000000000000000000"
"""Stands in every query; the dashboard's variable puts a clinic's id in its place."""

_MOST_LOG_GROUPS = 50
"""What one query of Logs Insights takes."""

API_LINE, RECORDED_LINE, ATTEMPT_LINE = "request", "An entry is recorded.", "attempt over"
STATE_LINE, VAULT_LINE = "channel state", "vault write"
"""The messages of the log lines that are asked for; each carries ``clinic_id``."""

_TABLE, _LINE = cloudwatch.LogQueryVisualizationType.TABLE, cloudwatch.LogQueryVisualizationType.LINE
_STACKED = cloudwatch.LogQueryVisualizationType.STACKEDAREA


class ClinicDashboard(Construct):
    """What the platform does for one clinic.

    Each widget that is looked at is a query, paid by the gigabyte it reads.

    Args:
        stage: the stage.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self._shards = [f"/recado/{stage.name}/{shard_id}" for shard_id in stage.shard_ids]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"recado-{stage.name}-clinic",
            default_interval=Duration.hours(3),
            variables=[
                cloudwatch.DashboardVariable(
                    id="clinic",
                    label="Clinic",
                    type=cloudwatch.VariableType.PATTERN,
                    input_type=cloudwatch.VariableInputType.INPUT,
                    value=NO_CLINIC,
                    default_value=cloudwatch.DefaultValue.value(NO_CLINIC),
                    visible=True,
                )
            ],
            widgets=[self._api(), self._messages(), *self._sessions(), *self._costs()],
        )

    def _api(self) -> list[cloudwatch.IWidget]:
        group = [f"/aws/lambda/recado-{self._stage.name}-api"]
        return [
            _query("Requests by status", group, API_LINE, ["stats count(*) as requests by bin(5m), status"], _STACKED),
            _query(
                "Milliseconds, p50 and p99",
                group,
                API_LINE,
                ["stats pct(duration_ms, 50) as p50, pct(duration_ms, 99) as p99 by bin(5m)"],
                _LINE,
            ),
            _query(
                "Refused and failed requests",
                group,
                API_LINE,
                [
                    "filter status >= 400",
                    "fields @timestamp, method, route, status, error_code, request_id",
                    "sort @timestamp desc",
                    "limit 50",
                ],
                _TABLE,
            ),
        ]

    def _messages(self) -> list[cloudwatch.IWidget]:
        recorder = [f"/aws/lambda/recado-{self._stage.name}-recorder"]
        attempts = [f"/aws/lambda/recado-{self._stage.name}-webhook-attempts"]
        return [
            _query("What happened", recorder, RECORDED_LINE, ["stats count(*) as facts by bin(5m), kind"], _STACKED),
            _query(
                "By channel",
                recorder,
                RECORDED_LINE,
                ["stats count(*) as facts by channel_id, kind", "limit 100"],
                _TABLE,
            ),
            _query(
                "Webhook attempts by result",
                attempts,
                ATTEMPT_LINE,
                ["stats count(*) as attempts by bin(5m), result"],
                _STACKED,
            ),
        ]

    def _sessions(self) -> list[list[cloudwatch.IWidget]]:
        return [
            [
                _query(
                    "What became of its channels",
                    groups,
                    STATE_LINE,
                    ["fields @timestamp, channel_id, state, reason, shard_id", "sort @timestamp desc", "limit 100"],
                    _TABLE,
                ),
                _query(
                    "Warnings and errors of its sessions",
                    groups,
                    None,
                    [
                        'filter level in ["WARNING", "ERROR", "CRITICAL"]',
                        "fields @timestamp, message, channel_id, code, cause",
                        "sort @timestamp desc",
                        "limit 100",
                    ],
                    _TABLE,
                ),
            ]
            for groups in self._chunks()
        ]

    def _costs(self) -> list[list[cloudwatch.IWidget]]:
        return [
            [
                _query(
                    "Writes to the vault",
                    groups,
                    VAULT_LINE,
                    ["stats sum(puts) as puts, sum(sent_bytes) as bytes by bin(1h)"],
                    _LINE,
                )
            ]
            for groups in self._chunks()
        ]

    def _chunks(self) -> list[list[str]]:
        return [self._shards[at : at + _MOST_LOG_GROUPS] for at in range(0, len(self._shards), _MOST_LOG_GROUPS)]


def _query(
    title: str,
    log_groups: Sequence[str],
    message: str | None,
    then: Sequence[str],
    view: cloudwatch.LogQueryVisualizationType,
) -> cloudwatch.LogQueryWidget:
    mine = [f'filter clinic_id = "{NO_CLINIC}"']
    mine += [f'filter message = "{message}"'] if message else []
    return cloudwatch.LogQueryWidget(
        title=title, log_group_names=list(log_groups), query_lines=[*mine, *then], view=view, width=8, height=8
    )
