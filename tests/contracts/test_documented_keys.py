"""The page on the data model tells where everything lies."""

import re
from datetime import timedelta
from pathlib import Path

from infra import tables
from recado.aws import schema
from recado.channels import service as channels
from recado.clinics import service as clinics
from recado.contacts import service as contacts
from recado.contacts.model import Resolution
from recado.shards.lease import ShardLease
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock

PAGE = Path(__file__).parents[2] / "docs" / "data-model.md"


def _platform_prefixes() -> set[str]:
    section = PAGE.read_text().partition("## Platform-keyed items")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def test_infrastructure_makes_the_tables_that_the_models_use() -> None:
    """Names, indexes and recovery are the same on both sides, which do not import each other."""
    made = {
        table.name: (
            {(index.name, index.partition_key, index.sort_key) for index in table.indexes},
            table.restorable,
            (table.partition_key, table.sort_key, table.expiry_attribute),
        )
        for table in tables.TABLES
    }
    used = {
        table.name: (
            {(index.name, index.hash_key, index.range_key) for index in table.indexes},
            table.recoverable,
            (schema.HASH_KEY, schema.RANGE_KEY, schema.TTL_ATTRIBUTE),
        )
        for table in schema.TABLES.values()
    }
    assert made == used


def test_what_is_not_keyed_by_its_clinic_is_on_the_list(aurora: str, aws: EmulatedAws, clock: FixedClock) -> None:
    """After every kind of item of these rooms was written, only listed ones lie outside a clinic's partitions."""
    clinics.create_platform_key("operations")
    channel = channels.create(aurora, "Recepção", "recepcao", clock=clock)
    names = (aurora, channel.channel_id)
    channels.claim_number(*names, "+5511988880001", None, clock=clock)
    channels.put_pairing_code(*names, "qr", "code", clock.now() + timedelta(seconds=20))
    channels.put_liveness(*names, connected=True, last_frame_at=None, epoch=1)
    channels.put_check_result(*names, "req_1", [], clock=clock)
    channels.reserve_sequences(*names, 1)
    contacts.remember(aurora, Resolution("+5511977770001", None, None, None, False, clock.now()))
    ShardLease("shard-001", "one", clock).try_acquire()

    written = [item["pk"] for table in schema.TABLES for item in aws.items(table)]
    outside = {pk for pk in written if not re.match(rf"clinic#{aurora}(#|$)", pk)}
    used = {prefix for prefix in _platform_prefixes() if any(pk.startswith(prefix) for pk in outside)}
    assert all(pk.startswith(tuple(_platform_prefixes())) for pk in outside), outside
    assert used == {"platform", "number#", "shard#"}


def test_every_kind_of_item_is_on_the_page() -> None:
    """Each sort key that a model writes can be found in a table of the page."""
    page = PAGE.read_text()
    for sort_key in (
        "clinic",
        "api_key#",
        "channel#",
        "external_id#",
        "number",
        "pairing_code",
        "liveness",
        "sequence",
        "check#",
        "shard",
        "lease",
        "contact#",
    ):
        assert re.search(rf"\| `{sort_key}[^`]*` \|", page), sort_key
