"""Items: expiry is checked on reading, conditions decide, lists stay in their partition, outages have one name."""

import threading
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError, ReadTimeoutError
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException

from recado.aws.models import ClinicItem, ConditionFailedError, partition_of
from recado.aws.settings import table_names
from recado.kernel.errors import InvalidCursorError, ServiceUnavailableError
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock


class Thing(ClinicItem):
    """A sample item in a table with indexes."""

    table = "core"

    kind = UnicodeAttribute(null=True)
    id = UnicodeAttribute(null=True)
    size = NumberAttribute(null=True)


def _things(count: int, pk: str = "clinic#a") -> None:
    for number in range(count):
        Thing(pk, f"thing#{number}", kind=f"{pk}#thing", id=f"{number}", size=number).store()


def _failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Connection, "dispatch", fail)


def test_the_table_is_named_by_the_settings_on_first_use(aws: EmulatedAws) -> None:
    """Importing a model reads no environment; using it does."""
    assert Thing.Meta.table_name == table_names().core_table == "recado-test-core"


def test_an_expired_item_is_gone_although_it_is_stored(aws: EmulatedAws, clock: FixedClock) -> None:
    """DynamoDB deletes days late; a read knows better."""
    Thing("clinic#a", "thing", expires_at=int(clock.now().timestamp()) + 10).store()
    assert Thing.find("clinic#a", "thing", now=clock.now()) is not None
    clock.advance(10)
    assert Thing.find("clinic#a", "thing", now=clock.now()) is None
    assert len(aws.items("core")) == 1


def test_a_refused_condition_has_its_own_error(aws: EmulatedAws) -> None:
    """Storing, changing and removing say so when the stored item is not as demanded."""
    thing = Thing("clinic#a", "thing", size=1)
    thing.store(Thing.pk.does_not_exist())
    with pytest.raises(ConditionFailedError):
        thing.store(Thing.pk.does_not_exist())
    with pytest.raises(ConditionFailedError):
        thing.change([Thing.size.set(2)], Thing.size == 7)
    with pytest.raises(ConditionFailedError):
        thing.remove(Thing.size == 7)
    found = Thing.find("clinic#a", "thing")
    assert found is not None
    assert found.size == 1


def test_of_parallel_writers_one_wins(aws: EmulatedAws) -> None:
    """A conditional write decides once, however many try."""
    won: list[int] = []

    def write(number: int) -> None:
        try:
            Thing("clinic#a", "thing", size=number).store(Thing.pk.does_not_exist())
        except ConditionFailedError:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = Thing.find("clinic#a", "thing")
    assert found is not None
    assert won == [found.size]


@pytest.mark.parametrize("index", [None, "by_kind"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
def test_a_list_is_complete_in_order_and_ends(aws: EmulatedAws, index: str | None, limit: int) -> None:
    """Following the keys gives every item once, in either direction; the last page says that nothing follows."""
    _things(6)
    _things(2, pk="clinic#b")
    for descending in (False, True):
        seen: list[str] = []
        start = None
        while True:
            hash_key = "clinic#a" if index is None else "clinic#a#thing"
            page = Thing.page(hash_key, limit=limit, start=start, index=index, descending=descending)
            assert 0 < len(page.items) <= limit
            seen += [item.sk for item in page.items]
            start = page.last_key
            if start is None:
                break
            assert partition_of(start) == "clinic#a"
        assert seen == sorted((f"thing#{number}" for number in range(6)), reverse=descending)


def test_a_filtered_list_fills_its_pages(aws: EmulatedAws) -> None:
    """Items that a filter drops do not count towards the limit."""
    _things(6)
    page = Thing.page("clinic#a", limit=2, filter_condition=Thing.size >= 2)
    assert [item.size for item in page.items] == [2, 3]
    page = Thing.page("clinic#a", limit=2, filter_condition=Thing.size >= 2, start=page.last_key)
    assert [item.size for item in page.items] == [4, 5]
    assert page.last_key is None


def test_another_partitions_key_is_refused(aws: EmulatedAws) -> None:
    """Where one clinic's list stopped is no place in another's."""
    _things(3, pk="clinic#a")
    _things(3, pk="clinic#b")
    start = Thing.page("clinic#b", limit=1).last_key
    indexed = Thing.page("clinic#b#thing", limit=1, index="by_kind").last_key
    with pytest.raises(InvalidCursorError):
        Thing.page("clinic#a", limit=1, start=start)
    with pytest.raises(InvalidCursorError):
        Thing.page("clinic#a#thing", limit=1, start=indexed, index="by_kind")
    with pytest.raises(InvalidCursorError):
        Thing.page("clinic#b", limit=1, start=indexed)
    with pytest.raises(InvalidCursorError):
        Thing.page("clinic#a", limit=1, start={"pk": {"S": "clinic#a"}})


def test_many_items_are_read_at_once(aws: EmulatedAws) -> None:
    """Those that exist come back; asking for none calls nobody."""
    _things(3)
    found = Thing.many([("clinic#a", "thing#0"), ("clinic#a", "thing#2"), ("clinic#a", "thing#9")])
    assert {item.sk for item in found} == {"thing#0", "thing#2"}
    with aws.counting_calls() as calls:
        assert Thing.many([]) == []
    assert calls == []


OUTAGES = [
    ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "GetItem"),
    ClientError({"Error": {"Code": "Odd"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "GetItem"),  # type: ignore[typeddict-item]
    ConnectTimeoutError(endpoint_url="http://127.0.0.1:1"),
    ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
]


@pytest.mark.parametrize("error", OUTAGES, ids=["throttle", "outage", "connection", "silence"])
@pytest.mark.parametrize(
    "call",
    [
        lambda: Thing.find("clinic#a", "thing"),
        lambda: Thing.page("clinic#a", limit=1),
        lambda: Thing.many([("clinic#a", "thing")]),
        lambda: Thing("clinic#a", "thing").store(),
        lambda: Thing("clinic#a", "thing").change([Thing.size.set(1)]),
        lambda: Thing("clinic#a", "thing").remove(),
    ],
    ids=["find", "page", "many", "store", "change", "remove"],
)
def test_an_outage_has_one_name(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch, call: Callable[[], object], error: Exception
) -> None:
    """Whatever fails on the other side is "service unavailable", from every operation."""
    _failing(monkeypatch, error)
    with pytest.raises(ServiceUnavailableError):
        call()


@pytest.mark.parametrize(
    "error",
    [ClientError({"Error": {"Code": "ValidationException", "Message": "bad"}}, "GetItem"), NoCredentialsError()],
)
def test_our_own_mistakes_are_not_called_an_outage(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A wrong request or a missing permission is not cured by trying again, and must be seen."""
    _failing(monkeypatch, error)
    with pytest.raises(PynamoDBException):
        Thing.find("clinic#a", "thing")
