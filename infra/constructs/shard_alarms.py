"""What rings for one shard: its silence, its sessions, and facts that it does not hand on."""

from aws_cdk import Duration, Tags
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.config import Shard, Stage
from infra.constructs.alarms import BELOW, MISSING_IS_BAD, Alarms
from infra.constructs.measures import Measures

_SETTLED_SECONDS = 600
_DOWN_MINUTES = 5


class ShardAlarms(Construct):
    """The alarms of one shard.

    A runner writes ``Hosts`` every half minute as long as it holds the shard's lease: that is the heartbeat. A task
    that is replaced is silent for a minute or two, and its sessions come back during the minutes after: so whether
    sessions are down is told only of a task that has carried the shard for ten minutes.

    Args:
        shard: the shard.
        stage: its stage.
        alarms: makes them.
        measures: what they look at.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, shard: Shard, stage: Stage, alarms: Alarms, measures: Measures
    ) -> None:
        super().__init__(scope, construct_id)
        self._shard_id = shard.shard_id
        self._thresholds = stage.alarms
        self._alarms = alarms
        self._measures = measures
        self._tell_silence()
        self._tell_sessions_down()
        self._tell_facts_that_wait()
        Tags.of(self).add("recado:shard", shard.shard_id)
        if shard.clinic_id:
            Tags.of(self).add("recado:clinic", shard.clinic_id)

    def _tell_silence(self) -> None:
        self._alarms.add(
            self,
            "Silent",
            name=f"{self._shard_id}-silent",
            what=f"No runner holds the lease of {self._shard_id}: its channels are offline, sends wait. "
            "Look at the service's events and the last lines of its log.",
            runbook="shard-silent",
            metric=self._measures.of_shard(self._shard_id, "Hosts", "SampleCount"),
            threshold=1,
            comparison=BELOW,
            minutes=self._thresholds.heartbeat_minutes,
            missing=MISSING_IS_BAD,
        )

    def _tell_sessions_down(self) -> None:
        of_shard, percent = self._measures.of_shard, self._thresholds.sessions_down_percent
        # One expression instead of a composite of two alarms: it costs less than half, and no two clocks can disagree.
        self._alarms.add(
            self,
            "SessionsDown",
            name=f"{self._shard_id}-sessions-down",
            what=f"{percent:g} % or more of the sessions of {self._shard_id} that should be connected are not, and its "
            "task is not new. Look at the dashboard's errors by type first.",
            runbook="sessions-down",
            metric=cloudwatch.MathExpression(
                expression=f"IF(age >= {_SETTLED_SECONDS} AND wanted > 0, 100 * down / wanted, 0)",
                label="% of wanted sessions",
                using_metrics={
                    "age": of_shard(self._shard_id, "TaskSeconds", "Maximum"),
                    "down": of_shard(self._shard_id, "SessionsDown", "Minimum"),
                    "wanted": of_shard(self._shard_id, "SessionsWanted", "Maximum"),
                },
                period=Duration.minutes(1),
            ),
            threshold=percent,
            minutes=_DOWN_MINUTES,
        )

    def _tell_facts_that_wait(self) -> None:
        self._alarms.add(
            self,
            "Facts",
            name=f"{self._shard_id}-facts-waiting",
            what=f"The runner of {self._shard_id} does not get rid of what it saw on WhatsApp. Nothing is lost as long "
            "as its task lives: do not stop it before you have looked at the ingest queue.",
            runbook="facts-waiting",
            metric=self._measures.of_shard(self._shard_id, "JournalOldestSeconds", "Maximum"),
            threshold=self._thresholds.journal_age_seconds,
            minutes=3,
        )
        self._alarms.add(
            self,
            "Spill",
            name=f"{self._shard_id}-spill-broken",
            what=f"Facts that a runner of {self._shard_id} had put aside in S3 could not be opened; they lie under "
            f"spill-broken/{self._shard_id}/ for 30 days.",
            runbook="spill-broken",
            metric=self._measures.of_shard(self._shard_id, "SpillBroken", "Sum"),
            threshold=1,
            minutes=1,
        )
