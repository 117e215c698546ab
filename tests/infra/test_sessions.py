"""The sessions' stack: one task a shard and never two, locked in, told what the runner's settings demand."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.container import HEALTH_PORT, USER, WRITABLE_FOLDER
from recado.aws.settings import TableSettings
from session_runner.health.endpoint import Health
from session_runner.settings import RunnerSettings
from tests.infra.conftest import CLINICS
from tests.infra.template import Templates

_QUEUE = "https://sqs.sa-east-1.amazonaws.com/111122223333/recado-prod-shard-002-commands"


def _services(templates: Templates) -> dict[str, dict[str, Any]]:
    return {service["ServiceName"]: service for service in templates.properties("AWS::ECS::Service")}


def _task(templates: Templates, shard: str) -> dict[str, Any]:
    for task in templates.properties("AWS::ECS::TaskDefinition"):
        if task["Family"].endswith(f"-{shard}"):
            return task
    raise KeyError(shard)


def _container(templates: Templates, shard: str = "shard-001") -> dict[str, Any]:
    (container,) = _task(templates, shard)["ContainerDefinitions"]
    found: dict[str, Any] = container
    return found


def _tags(properties: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties["Tags"]}


def _statements(templates: Templates, shard: str) -> list[dict[str, Any]]:
    role = _task(templates, shard)["TaskRoleArn"]["Fn::GetAtt"][0]
    return [
        statement
        for policy in templates.properties("AWS::IAM::Policy")
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def _allowed(templates: Templates, shard: str, mentioning: str) -> set[str]:
    found: set[str] = set()
    for statement in _statements(templates, shard):
        if mentioning in json.dumps(statement["Resource"]):
            found |= {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])
    return found


def test_every_declared_shard_has_a_service(prod: Templates, crowded: Templates) -> None:
    """Two in production as cdk.json says; 38 shared and two dedicated ones where so many are declared."""
    assert set(_services(prod)) == {"recado-prod-shard-001", "recado-prod-shard-002"}
    dedicated = {f"recado-crowded-shard-{clinic.removeprefix('cli_')}" for clinic in CLINICS}
    assert dedicated < set(_services(crowded))
    assert len(_services(crowded)) == 40


def test_no_deployment_says_how_many_tasks_are_wanted(prod: Templates, crowded: Templates) -> None:
    """A shard that was closed (0 tasks) stays closed when the platform is deployed again."""
    for service in [*_services(prod).values(), *_services(crowded).values()]:
        assert "DesiredCount" not in service


def test_a_service_never_starts_a_second_task_beside_the_first(crowded: Templates) -> None:
    """The old task ends before the new one begins, in deployments and when a zone is rebalanced."""
    for service in _services(crowded).values():
        deployment = service["DeploymentConfiguration"]
        assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (0, 100)
        assert service["AvailabilityZoneRebalancing"] == "DISABLED"


def test_a_deployment_whose_task_does_not_come_up_goes_back(prod: Templates) -> None:
    """ECS returns to the last image instead of trying for hours."""
    for service in _services(prod).values():
        assert service["DeploymentConfiguration"]["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def test_the_task_gets_all_the_time_that_fargate_grants_for_its_farewell(prod: Templates) -> None:
    """120 s, and the runner's own shutdown fits inside."""
    container = _container(prod)
    assert container["StopTimeout"] == 120
    assert RunnerSettings.model_fields["shutdown_seconds"].default < 120


def test_only_one_folder_can_be_written_and_by_nobody_privileged(prod: Templates) -> None:
    """The root file system is read-only, there is one volume, the user is not root and has no capability."""
    task, container = _task(prod, "shard-001"), _container(prod)
    assert container["ReadonlyRootFilesystem"] is True
    assert [mount["ContainerPath"] for mount in container["MountPoints"]] == [WRITABLE_FOLDER]
    assert len(task["Volumes"]) == 1
    assert container["User"] == USER
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert "Privileged" not in container


def test_the_image_gives_the_volume_to_the_same_user(prod: Templates) -> None:
    """Fargate mounts an empty volume with the owner that the image's folder has, if the image declares it a volume."""
    dockerfile = (Path(__file__).parents[2] / "session_runner" / "Dockerfile").read_text(encoding="utf-8")
    lines = dockerfile.splitlines()
    assert f"USER {USER}" in lines
    assert f"VOLUME {WRITABLE_FOLDER}" in lines
    assert f"--owner=recado --group=recado --mode=0700 {WRITABLE_FOLDER}" in dockerfile
    assert f"groupadd --gid {USER.split(':')[1]} recado" in dockerfile
    assert f"useradd --uid {USER.split(':')[0]} --gid {USER.split(':')[1]}" in dockerfile


def test_the_runner_accepts_what_its_container_is_told(prod: Templates, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real settings classes read the container's environment and find this shard's queue in it."""
    for variable in _container(prod, "shard-002")["Environment"]:
        monkeypatch.setenv(variable["Name"], _filled(variable["Value"]))
    settings = RunnerSettings()
    assert settings.shard_id == "shard-002"
    assert settings.command_queue_url == _QUEUE
    assert settings.stage == "prod"
    assert settings.health_port == HEALTH_PORT
    assert str(settings.runner_directory) == WRITABLE_FOLDER
    assert set(settings.whatsapp_environment) == {"HOME", "TMPDIR"}
    TableSettings()


def _filled(value: Any) -> str:
    if isinstance(value, str):
        return value
    joined = value.get("Fn::Join")
    if joined:
        pseudo = {"AWS::Region": "sa-east-1", "AWS::AccountId": "111122223333"}
        return str(joined[0]).join(
            part if isinstance(part, str) else pseudo.get(part.get("Ref"), "something") for part in joined[1]
        )
    return "something"


def test_every_variable_of_the_container_is_a_setting(prod: Templates) -> None:
    """A misspelt one would be ignored in silence."""
    known = {f"RECADO_{name.upper()}" for settings in (RunnerSettings, TableSettings) for name in settings.model_fields}
    told = {variable["Name"] for variable in _container(prod)["Environment"]}
    assert told - known == {"AWS_REGION", "HOME", "TMPDIR"}


def test_a_new_shard_changes_no_other_shards_task(prod: Templates) -> None:
    """A runner is told of its own queue only: a changed task definition would restart it."""
    assert "shard-002" not in json.dumps(_container(prod, "shard-001")["Environment"])
    assert "Shard002" not in json.dumps(_task(prod, "shard-001"))


@pytest.fixture
def serving() -> Iterator[Health]:
    health = Health("127.0.0.1", 0, lambda: {"status": "running"})
    yield health
    health.close()


def _probe(templates: Templates, port: int) -> int:
    kind, python, *arguments = _container(templates)["HealthCheck"]["Command"]
    assert (kind, python) == ("CMD", "python")
    line = [argument.replace(str(HEALTH_PORT), str(port)) for argument in arguments]
    return subprocess.run([sys.executable, *line], check=False, stderr=subprocess.DEVNULL, timeout=30).returncode


def test_the_probe_tells_a_living_runner_from_a_hung_and_a_dead_one(
    prod: Templates, serving: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very command of the template, run against the runner's health server."""
    port = serving.port
    assert _probe(prod, port) == 0
    monkeypatch.setattr("session_runner.health.endpoint.LOOP_SECONDS", -1.0)
    assert _probe(prod, port) != 0
    serving.close()
    assert _probe(prod, port) != 0


def test_the_probe_comes_every_ten_seconds_and_three_failures_end_the_task(prod: Templates) -> None:
    """The first line of defence against a hung runner."""
    check = _container(prod)["HealthCheck"]
    assert (check["Interval"], check["Retries"]) == (10, 3)
    assert check["Timeout"] < check["Interval"]


def test_each_shard_logs_into_a_group_of_its_own_that_forgets(crowded: Templates) -> None:
    """Shards' logs are told apart on the bill, and kept as long as the stage says."""
    groups = dict(crowded.resources("AWS::Logs::LogGroup"))
    used = [
        container["LogConfiguration"]["Options"]["awslogs-group"]["Ref"]
        for task in crowded.properties("AWS::ECS::TaskDefinition")
        for container in task["ContainerDefinitions"]
    ]
    assert len(set(used)) == 40
    assert {groups[name]["Properties"]["RetentionInDays"] for name in used} == {30}


def test_a_shard_is_tagged_with_its_id_and_its_tasks_inherit_that(crowded: Templates) -> None:
    """Service, task definition, role and log group carry component, stage and shard."""
    for shard in ("shard-001", f"shard-{CLINICS[0].removeprefix('cli_')}"):
        service = _services(crowded)[f"recado-crowded-{shard}"]
        assert service["PropagateTags"] == "SERVICE"
        for properties in (service, _task(crowded, shard)):
            tags = _tags(properties)
            assert (tags["recado:component"], tags["recado:stage"]) == ("runner", "crowded")
            assert tags["recado:shard"] == shard


def test_only_a_dedicated_shard_carries_its_clinics_tag(crowded: Templates) -> None:
    """Its service (and so its tasks), its log group and its command queue are paid by that clinic."""
    clinic = CLINICS[1]
    shard = f"shard-{clinic.removeprefix('cli_')}"
    carrying = {
        (resource["Type"], name)
        for name, resource in crowded.resources()
        for tag in resource.get("Properties", {}).get("Tags", [])
        if isinstance(tag, dict) and tag["Key"] == "recado:clinic" and tag["Value"] == clinic
    }
    assert {"AWS::ECS::Service", "AWS::ECS::TaskDefinition", "AWS::Logs::LogGroup", "AWS::SQS::Queue"} <= {
        kind for kind, _ in carrying
    }
    assert "recado:clinic" not in _tags(_services(crowded)["recado-crowded-shard-001"])
    assert _tags(_services(crowded)[f"recado-crowded-{shard}"])["recado:clinic"] == clinic


def test_a_runner_may_take_its_own_commands_and_no_other_shards(crowded: Templates) -> None:
    """Two shards of one stage cannot read each other's queues."""
    assert _allowed(crowded, "shard-001", "-shard-001-commands") == {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
    assert _allowed(crowded, "shard-001", "-shard-002-commands") == set()


def test_a_runner_cannot_delete_sessions_or_touch_other_tables(prod: Templates) -> None:
    """It reads and replaces vault objects; analytics, audit and backups are none of its business."""
    assert _allowed(prod, "shard-001", "/clinic/") == {"s3:GetObject", "s3:PutObject"}
    assert _allowed(prod, "shard-001", "KeysTable") == {"dynamodb:GetItem", "dynamodb:PutItem"}
    for name in ("AnalyticsTable", "AuditTable", "Backups"):
        assert _allowed(prod, "shard-001", name) == set()


def test_a_runner_spills_under_its_own_shard_and_deletes_nothing_else(crowded: Templates) -> None:
    """What was handed on is deleted there; what is damaged is put aside and stays."""
    assert _allowed(crowded, "shard-001", "/spill/shard-001/*") == {"s3:PutObject", "s3:GetObject", "s3:DeleteObject"}
    assert _allowed(crowded, "shard-001", "/spill-broken/shard-001/*") == {"s3:PutObject"}
    deleting = [
        json.dumps(statement["Resource"])
        for statement in _statements(crowded, "shard-001")
        if "s3:DeleteObject" in statement["Action"]
    ]
    assert len(deleting) == 1
    assert "/spill/shard-001/*" in deleting[0]


def test_a_runner_may_ask_about_tasks_of_its_cluster_and_nothing_else_of_ecs(prod: Templates) -> None:
    """Whether its predecessor has stopped is the one thing it wants to know."""
    asked = {
        json.dumps(statement["Resource"]): statement["Action"]
        for statement in _statements(prod, "shard-001")
        if "ecs:" in json.dumps(statement["Action"])
    }
    ((resource, action),) = asked.items()
    assert action == "ecs:DescribeTasks"
    assert ":task/" in resource
    assert "Cluster" in resource
    assert resource.endswith('/*"]]}')


def test_no_right_of_a_runner_is_unbounded(crowded: Templates) -> None:
    """No statement is for everything, no table can be scanned, the key works through AWS or for a clinic."""
    for statement in _statements(crowded, "shard-001"):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert statement["Resource"] != "*"
        assert not {"dynamodb:Scan", "dynamodb:DeleteTable"} & set(actions)
        assert not [action for action in actions if action.endswith(":*")]
        if any(action.startswith("kms:") for action in actions):
            condition = statement["Condition"]
            named = condition.get("Null", {}).get("kms:EncryptionContext:clinic") == "false"
            assert named or "kms:ViaService" in condition["StringEquals"], statement


def test_a_dedicated_shard_reaches_its_clinics_sessions_only(crowded: Templates) -> None:
    """Another clinic's credentials are out of its reach, whatever the program does."""
    shard = f"shard-{CLINICS[0].removeprefix('cli_')}"
    objects = [
        json.dumps(statement["Resource"])
        for statement in _statements(crowded, shard)
        if "/clinic/" in json.dumps(statement["Resource"])
    ]
    assert len(objects) == 1
    assert f"/clinic/{CLINICS[0]}/*" in objects[0]
    conditions = [
        json.dumps(statement.get("Condition"))
        for statement in _statements(crowded, shard)
        if "KeysTable" in json.dumps(statement["Resource"])
        or ("kms:GenerateDataKey" in statement["Action"] and "kms:ViaService" not in json.dumps(statement["Condition"]))
    ]
    assert len(conditions) == 2
    assert all(CLINICS[0] in condition for condition in conditions)


def test_nobody_can_connect_to_a_runner(prod: Templates, crowded: Templates) -> None:
    """No security group has a rule for incoming traffic; out goes HTTPS alone."""
    for templates in (prod, crowded):
        assert not list(templates.resources("AWS::EC2::SecurityGroupIngress"))
        for group in templates.properties("AWS::EC2::SecurityGroup"):
            assert "SecurityGroupIngress" not in group
            assert [(rule["IpProtocol"], rule["FromPort"]) for rule in group["SecurityGroupEgress"]] == [("tcp", 443)]


def test_ecs_itself_may_fetch_the_image_and_write_the_shards_logs_and_nothing_else(crowded: Templates) -> None:
    """The execution role is the same for all shards; no managed policy of AWS is on it."""
    task = _task(crowded, "shard-001")
    role = task["ExecutionRoleArn"]["Fn::GetAtt"][0]
    assert {task["ExecutionRoleArn"]["Fn::GetAtt"][0] for task in crowded.properties("AWS::ECS::TaskDefinition")} == {
        role
    }
    (properties,) = [resource["Properties"] for name, resource in crowded.resources("AWS::IAM::Role") if name == role]
    assert "ManagedPolicyArns" not in properties
    actions = {
        action
        for policy in crowded.properties("AWS::IAM::Policy")
        if {"Ref": role} in policy["Roles"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in (statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
    }
    assert {action.partition(":")[0] for action in actions} == {"ecr", "logs"}
    assert not [action for action in actions if "Put" in action and action != "logs:PutLogEvents"]


def test_a_role_of_a_task_is_for_tasks_only(crowded: Templates) -> None:
    """Nobody else, no function and no person, can take on what reaches sessions."""
    roles = {task["TaskRoleArn"]["Fn::GetAtt"][0] for task in crowded.properties("AWS::ECS::TaskDefinition")}
    assert len(roles) == 40
    for name, role in crowded.resources("AWS::IAM::Role"):
        if name in roles:
            (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}


def test_logging_never_holds_up_a_session(prod: Templates) -> None:
    """When CloudWatch Logs does not answer, lines wait in a buffer and are dropped in the end; sends go on."""
    options = _container(prod)["LogConfiguration"]["Options"]
    assert options["mode"] == "non-blocking"
    assert options["max-buffer-size"] == f"{16 * 1024 * 1024}b"


def test_what_is_refused_at_the_networks_edge_is_written_down(prod: Templates) -> None:
    """Rejected traffic only, for a week: all of it would cost more than the tasks."""
    (flow,) = prod.properties("AWS::EC2::FlowLog")
    assert flow["TrafficType"] == "REJECT"
    (group,) = [
        group
        for group in prod.properties("AWS::Logs::LogGroup")
        if group["LogGroupName"] == "/recado/prod/refused-traffic"
    ]
    assert group["RetentionInDays"] == 7


def test_nothing_gets_a_public_address_without_asking(prod: Templates, crowded: Templates) -> None:
    """Subnets give none away; services ask for one, or do not."""
    for templates in (prod, crowded):
        for subnet in templates.properties("AWS::EC2::Subnet"):
            assert subnet["MapPublicIpOnLaunch"] is False


def test_per_container_metrics_are_bought_only_where_a_stage_says_so(prod: Templates, crowded: Templates) -> None:
    """They are paid by the metric and the shard."""
    for templates, wanted in ((prod, "disabled"), (crowded, "enabled")):
        (cluster,) = templates.properties("AWS::ECS::Cluster")
        assert cluster["ClusterSettings"] == [{"Name": "containerInsights", "Value": wanted}]


def test_by_default_each_task_has_its_own_public_address(prod: Templates) -> None:
    """No NAT gateway is paid for."""
    assert not list(prod.resources("AWS::EC2::NatGateway"))
    for service in _services(prod).values():
        assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "ENABLED"


def test_behind_nat_all_tasks_leave_by_one_fixed_address_that_stays(crowded: Templates) -> None:
    """The address is our own, kept even when the stack goes, since others have it on their lists."""
    ((_, address),) = crowded.resources("AWS::EC2::EIP")
    assert address["DeletionPolicy"] == "Retain"
    assert len(list(crowded.resources("AWS::EC2::NatGateway"))) == 1
    for service in _services(crowded).values():
        assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"


def test_the_network_spans_two_zones_and_reaches_tables_and_vault_by_itself(prod: Templates) -> None:
    """Two zones chosen by the account, and gateway endpoints, which cost nothing, for S3 and DynamoDB."""
    zones = {json.dumps(subnet["AvailabilityZone"]) for subnet in prod.properties("AWS::EC2::Subnet")}
    assert len(zones) == 2
    assert all("Fn::GetAZs" in zone for zone in zones)
    endpoints = json.dumps(prod.properties("AWS::EC2::VPCEndpoint"))
    assert ".s3" in endpoints
    assert ".dynamodb" in endpoints


def test_forty_shards_fit_into_every_stack(crowded: Templates) -> None:
    """CloudFormation takes at most 500 resources and 200 outputs a stack."""
    for stack, body in crowded.stacks.items():
        assert len(body["Resources"]) < 500, stack
        assert len(body.get("Outputs", {})) <= 200, stack


def test_the_processor_is_the_stages(prod: Templates, crowded: Templates) -> None:
    """arm64 unless a stage says otherwise."""
    assert _task(prod, "shard-001")["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
    assert _task(crowded, "shard-001")["RuntimePlatform"]["CpuArchitecture"] == "X86_64"


def test_the_local_stage_leaves_tasks_to_the_process_supervisor(local: Templates) -> None:
    """The emulator takes ECS services but runs nothing, so deploying them would only cost time."""
    assert not _services(local)
    assert "recado-local-sessions" not in local.stacks


def test_a_budget_tells_somebody_before_and_after_it_is_spent(crowded: Templates, prod: Templates) -> None:
    """80 % spent and more than all foreseen, for the stage's own resources; none where no budget is set."""
    (budget,) = crowded.properties("AWS::Budgets::Budget")
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:recado:stage$crowded"]}
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": "USD"}
    told = budget["NotificationsWithSubscribers"]
    assert {subscriber["Address"] for entry in told for subscriber in entry["Subscribers"]} == {"ops@clinic.example"}
    assert not list(prod.resources("AWS::Budgets::Budget"))
