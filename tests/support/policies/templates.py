"""Roles as the synthesised templates will make them, with every reference put in."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.policies.evaluation import Statement
from tests.support.policies.requests import ACCOUNT, REGION

_PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NoValue": "",
}
# How the service makes an ARN of a resource's name, and in which property the name stands.
_NAMED = {
    "AWS::DynamoDB::Table": ("TableName", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}"),
    "AWS::SQS::Queue": ("QueueName", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}"),
    "AWS::S3::Bucket": ("BucketName", "arn:aws:s3:::{}"),
    "AWS::KMS::Key": ("-", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{{}}"),
    "AWS::Events::EventBus": ("Name", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{{}}"),
    "AWS::IAM::Role": ("RoleName", f"arn:aws:iam::{ACCOUNT}:role/{{}}"),
    "AWS::Lambda::Function": ("FunctionName", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{}}"),
    "AWS::Logs::LogGroup": ("LogGroupName", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*"),
    "AWS::SNS::Topic": ("TopicName", f"arn:aws:sns:{REGION}:{ACCOUNT}:{{}}"),
}


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the templates.

    Attributes:
        arn: its ARN.
        statements: all of its policies'.
        trust: who may take it on, and how.
        managed: the ARNs of policies that AWS keeps.
    """

    arn: str
    statements: tuple[Statement, ...]
    trust: tuple[Statement, ...]
    managed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function of the templates: its role, what it is told, and what else speaks of its needs.

    Attributes:
        sources: the ARNs of the queues that feed it.
        destinations: the ARNs of the queues that take what it failed at when it was started asynchronously.
        traced: whether X-Ray is on.
    """

    name: str
    role: Role
    environment: Mapping[str, str]
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    traced: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A shard's task of the templates.

    Attributes:
        name: the shard's id.
        role: the program's.
        execution_role: that of ECS, for starting it.
        repository: the ARN of the image's repository.
        cluster: the name of the cluster in which it runs.
    """

    name: str
    role: Role
    execution_role: Role
    environment: Mapping[str, str]
    repository: str
    log_group: str
    cluster: str


class ResolvedTemplates:
    """The templates of a stage, whose references to each other are known.

    Args:
        stacks: the templates by their stacks' names.
    """

    def __init__(self, stacks: Mapping[str, Mapping[str, Any]]) -> None:
        self._stacks = stacks
        self._exports: dict[str, tuple[str, Any]] = {}
        for stack, body in stacks.items():
            for output in body.get("Outputs", {}).values():
                if "Export" in output:
                    self._exports[self._text(stack, output["Export"]["Name"])] = (stack, output["Value"])

    def functions(self) -> dict[str, Function]:
        """Return the functions of ``functions/`` by their folders."""
        found = {}
        for stack, name, properties in self._all("AWS::Lambda::Function"):
            folder = re.fullmatch(r"functions\.(\w+)\.handler\.handler", str(properties.get("Handler")))
            if folder:
                told = properties["Environment"]["Variables"]
                found[folder[1]] = Function(
                    folder[1],
                    self.role(stack, properties["Role"]["Fn::GetAtt"][0]),
                    {key: self._text(stack, value) for key, value in told.items()},
                    tuple(self._sources(stack, name)),
                    tuple(self._destinations(stack, name)),
                    properties.get("TracingConfig", {}).get("Mode") == "Active",
                )
        return found

    def tasks(self) -> dict[str, Task]:
        """Return the tasks of the shards by shard id."""
        clusters = [self._name(stack, name) for stack, name, _ in self._all("AWS::ECS::Cluster")]
        found = {}
        for stack, _, properties in self._all("AWS::ECS::TaskDefinition"):
            (container,) = properties["ContainerDefinitions"]
            told = {entry["Name"]: self._text(stack, entry["Value"]) for entry in container["Environment"]}
            image = self._text(stack, container["Image"])
            name = told["RECADO_SHARD_ID"]
            found[name] = Task(
                name,
                self.role(stack, properties["TaskRoleArn"]["Fn::GetAtt"][0]),
                self.role(stack, properties["ExecutionRoleArn"]["Fn::GetAtt"][0]),
                told,
                f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{image.partition('/')[2].rpartition(':')[0]}",
                self._text(stack, container["LogConfiguration"]["Options"]["awslogs-group"]),
                clusters[0],
            )
        return found

    def role_at(self, arn: str) -> Role:
        """Return the role of that ARN."""
        for stack, name, _ in self._all("AWS::IAM::Role"):
            role = self.role(stack, name)
            if role.arn == arn:
                return role
        raise KeyError(arn)

    def role(self, stack: str, name: str) -> Role:
        """Return a role by its logical name."""
        properties = self._stacks[stack]["Resources"][name]["Properties"]
        documents = [inline["PolicyDocument"] for inline in properties.get("Policies", ())]
        for _, _, policy in self._all("AWS::IAM::Policy", stack):
            if {"Ref": name} in policy["Roles"]:
                documents.append(policy["PolicyDocument"])
        return Role(
            self._text(stack, {"Fn::GetAtt": [name, "Arn"]}),
            tuple(one for document in documents for one in self._value(stack, document)["Statement"]),
            tuple(self._value(stack, properties["AssumeRolePolicyDocument"])["Statement"]),
            tuple(self._text(stack, arn) for arn in properties.get("ManagedPolicyArns", ())),
        )

    def _sources(self, stack: str, function: str) -> Iterator[str]:
        for _, _, mapping in self._all("AWS::Lambda::EventSourceMapping", stack):
            if mapping["FunctionName"] == {"Ref": function}:
                yield self._text(stack, mapping["EventSourceArn"])

    def _destinations(self, stack: str, function: str) -> Iterator[str]:
        for _, _, invocation in self._all("AWS::Lambda::EventInvokeConfig", stack):
            if invocation["FunctionName"] == {"Ref": function}:
                yield self._text(stack, invocation["DestinationConfig"]["OnFailure"]["Destination"])

    def _all(self, kind: str, only: str | None = None) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for stack, body in self._stacks.items():
            for name, resource in body["Resources"].items():
                if resource["Type"] == kind and only in {None, stack}:
                    yield stack, name, resource.get("Properties", {})

    def _value(self, stack: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            if len(value) == 1 and (found := next(iter(value))).startswith(("Fn::", "Ref")):
                return self._reference(stack, found, value[found])
            return {key: self._value(stack, inner) for key, inner in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self._value(stack, inner) for inner in value]
        return value

    def _text(self, stack: str, value: Any) -> str:
        return str(self._value(stack, value))

    def _reference(self, stack: str, kind: str, target: Any) -> Any:
        if kind == "Ref":
            return self._ref(stack, target)
        if kind == "Fn::GetAtt":
            name, attribute = target
            _, pattern = _NAMED[self._stacks[stack]["Resources"][name]["Type"]]
            return pattern.format(self._name(stack, name)) if attribute == "Arn" else self._name(stack, name)
        if kind == "Fn::Join":
            return target[0].join(self._text(stack, part) for part in target[1])
        if kind == "Fn::ImportValue":
            return self._value(*self._exports[self._text(stack, target)])
        if kind == "Fn::If":
            # Which it will be is known only at the deployment: the longer one, for what has to fit somewhere.
            return max((self._value(stack, each) for each in target[1:]), key=lambda found: len(str(found)))
        if kind == "Fn::Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda found: str(self._ref(stack, found[1])), target)
        raise NotImplementedError(kind)

    def _ref(self, stack: str, name: str) -> str:
        if name in _PSEUDO:
            return _PSEUDO[name]
        body = self._stacks[stack]
        if name in body.get("Parameters", {}):
            return str(body["Parameters"][name].get("Default", ""))
        physical = self._name(stack, name)
        is_queue = body["Resources"][name]["Type"] == "AWS::SQS::Queue"
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{physical}" if is_queue else physical

    def _name(self, stack: str, name: str) -> str:
        resource = self._stacks[stack]["Resources"][name]
        attribute, _ = _NAMED.get(resource["Type"], ("-", ""))
        given = resource.get("Properties", {}).get(attribute)
        return name if given is None else self._text(stack, given)
