"""The table declarations, the models built on them and what DynamoDB accepts agree with each other."""

import importlib
import pkgutil
from datetime import UTC, datetime

import boto3
import pytest

import recado
from recado.aws.models import ClinicItem
from recado.aws.schema import TABLES
from recado.aws.settings import table_names
from tests.support.aws import REGION, EmulatedAws


def _models() -> list[type[ClinicItem]]:
    for module in pkgutil.walk_packages(recado.__path__, "recado."):
        if module.name.rpartition(".")[2].endswith("table"):
            importlib.import_module(module.name)
    found: list[type[ClinicItem]] = []
    pending = list(ClinicItem.__subclasses__())
    while pending:
        model = pending.pop()
        pending += model.__subclasses__()
        if model.__module__.startswith("recado."):
            found.append(model)
    return found


def test_dynamodb_accepts_every_declared_table(aws: EmulatedAws) -> None:
    """Each declared table exists with the declared keys and indexes."""
    dynamodb = boto3.client("dynamodb", region_name=REGION)
    for name, table in TABLES.items():
        described = dynamodb.describe_table(TableName=table_names().name_of(name))["Table"]
        assert [key["AttributeName"] for key in described["KeySchema"]] == ["pk", "sk"]
        assert {index["IndexName"] for index in described.get("GlobalSecondaryIndexes", [])} == {
            index.name for index in table.indexes
        }


def test_every_model_uses_a_declared_table_and_its_declared_indexes() -> None:
    """A model names a declared table, and its indexes have the declared keys."""
    for model in _models():
        declared = {index.name: (index.hash_key, index.range_key) for index in TABLES[model.table].indexes}
        for name, index in model._indexes.items():
            keys = {
                bool(attribute.is_hash_key): attribute.attr_name for attribute in type(index).Meta.attributes.values()
            }
            assert declared[name] == (keys[True], keys[False]), model


def test_models_of_one_process_share_one_client(aws: EmulatedAws) -> None:
    """All models of patient timing share a connection, so that a cold start makes one DynamoDB client."""
    patient = [model for model in _models() if not model.impatient]
    assert len({id(model._get_connection().connection) for model in patient}) <= 1


def test_an_item_that_expires_cannot_be_read_without_saying_when() -> None:
    """A read that forgets to check expiry fails at once instead of returning what should be gone."""

    class Expiring(ClinicItem):
        table = "runtime"

    item = Expiring("clinic#a", "b", expires_at=1)
    with pytest.raises(ValueError, match="needs a moment"):
        item.is_live(None)
    assert not item.is_live(datetime(2026, 1, 1, tzinfo=UTC))
