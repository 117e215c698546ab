"""Settings come from the environment, complete or not at all, and every client waits a bounded time."""

from typing import Any

import pytest
from pydantic import ValidationError

from recado.aws import clients, connections
from recado.aws.settings import (
    ShardSettings,
    StageSettings,
    TableSettings,
    WebhookSettings,
    region,
    shard_queues,
    stage,
)
from tests.support.aws import REGION, SHARDS, EmulatedAws


def test_settings_are_read_from_the_environment(aws: EmulatedAws) -> None:
    """Names, the stage, the region and the shards are what the environment says."""
    assert stage() == "test"
    assert region() == REGION
    assert tuple(sorted(shard_queues())) == SHARDS
    assert TableSettings().name_of("runtime") == "recado-test-runtime"


def test_a_process_composes_what_it_needs(aws: EmulatedAws) -> None:
    """Settings classes combine by inheritance."""

    class Settings(TableSettings, ShardSettings, WebhookSettings):
        """What one process needs."""

    made = Settings()
    assert made.core_table == "recado-test-core"
    assert made.webhook_retry_gaps[:3] == (0, 5, 300)
    assert made.webhook_allowed_networks == ()


def test_a_missing_or_senseless_setting_stops_the_process(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails at the start and says which, instead of half working."""
    monkeypatch.delenv("RECADO_CORE_TABLE")
    with pytest.raises(ValidationError, match="core_table"):
        TableSettings()
    monkeypatch.setenv("RECADO_STAGE", "a_b")
    with pytest.raises(ValidationError, match="stage"):
        StageSettings()


@pytest.mark.parametrize("listed", ["", "1", "001,", "003-001", "001-003,002", "001,CLI", "shard-001"])
def test_a_list_of_shards_that_cannot_be_is_refused(aws: EmulatedAws, listed: str) -> None:
    """Wrong forms, a shard named twice and a run of none: guessing would place channels where nobody carries them."""
    with pytest.raises(ValidationError):
        ShardSettings(shards=listed, shard_queue_url="https://queues/{shard_id}")


def test_an_address_of_queues_without_the_place_of_the_shard_is_refused(aws: EmulatedAws) -> None:
    """All shards' commands would go into one queue."""
    with pytest.raises(ValidationError, match="shard_queue_url"):
        ShardSettings(shards="001", shard_queue_url="https://queues/shard-001")


def test_lists_in_the_environment_are_json(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry gaps and allowed networks can be set for local stacks."""
    monkeypatch.setenv("RECADO_WEBHOOK_RETRY_GAPS", "[0, 0.5]")
    monkeypatch.setenv("RECADO_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    assert WebhookSettings().webhook_retry_gaps == (0, 0.5)
    assert WebhookSettings().webhook_allowed_networks == ("127.0.0.0/8",)


def test_no_client_waits_for_ever(aws: EmulatedAws) -> None:
    """Connecting and reading are bounded, and so are the tries; only a long poll may take longer than its wait."""
    for client in (clients.sqs(), clients.s3(), clients.events(), clients.kms(), connections.connection().client):
        config = _config(client)
        assert (config.connect_timeout, config.read_timeout) == (3, 10)
        assert config.retries["total_max_attempts"] == 4
    assert 20 < _config(clients.long_polling_sqs()).read_timeout < 60
    impatient = _config(connections.connection(impatient=True).client)
    assert (impatient.connect_timeout, impatient.read_timeout) == (2, 2)
    assert impatient.retries["total_max_attempts"] == 1


def test_clients_are_made_once(aws: EmulatedAws) -> None:
    """A warm process reuses its connections."""
    assert clients.sqs() is clients.sqs()
    assert connections.table_connection("core") is connections.table_connection("core")


def _config(client: Any) -> Any:
    return client.meta.config
