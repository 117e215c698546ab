"""What ECS tells about tasks, for tasks that are processes here: who they are, and whether they have stopped.

Two interfaces of AWS's, each as far as runners use it: the task metadata endpoint (version 4), by which a task learns
its own ARN, and ``DescribeTasks``, by which it learns of another's end (boto3 finds it by ``AWS_ENDPOINT_URL_ECS``).
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from local.stack.environment import REGION
from local.stack.ports import HOST

CLUSTER = "recado-local"
_ACCOUNT = "000000000000"
_DESCRIBE_TASKS = "AmazonEC2ContainerServiceV20141113.DescribeTasks"
_CONTENT_TYPE = "application/x-amz-json-1.1"


@dataclass(frozen=True, slots=True)
class TaskName:
    """A task's name and the variables by which it can ask for it."""

    arn: str
    environment: Mapping[str, str]


class EcsRecords:
    """Keeps which tasks there were, and answers for ECS.

    Attributes:
        silent: whether ``DescribeTasks`` fails, as when ECS is away.
    """

    def __init__(self) -> None:
        self.silent = False
        self._statuses: dict[str, str] = {}
        self._runner: web.AppRunner | None = None
        self._url = ""

    async def start(self) -> None:
        """Listen on a free port of this machine."""
        application = web.Application()
        application.add_routes([web.get("/v4/{task}/task", self._metadata), web.post("/", self._call)])
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        self._url = f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    def begin(self) -> TaskName:
        """Return a name for a new task, which counts as running from now on."""
        task = uuid.uuid4().hex
        arn = _arn(task)
        self._statuses[arn] = "RUNNING"
        places = {"ECS_CONTAINER_METADATA_URI_V4": f"{self._url}/v4/{task}", "AWS_ENDPOINT_URL_ECS": self._url}
        return TaskName(arn, places)

    def end(self, arn: str) -> None:
        """Take down that no process of this task is left."""
        self._statuses[arn] = "STOPPED"

    async def _metadata(self, request: web.Request) -> web.Response:
        arn = _arn(request.match_info["task"])
        if arn not in self._statuses:
            raise web.HTTPNotFound
        return web.json_response({"Cluster": CLUSTER, "TaskARN": arn, "KnownStatus": self._statuses[arn]})

    async def _call(self, request: web.Request) -> web.Response:
        if self.silent:
            return _answer({"__type": "ServerException"}, status=500)
        if request.headers.get("X-Amz-Target") != _DESCRIBE_TASKS:
            return _answer({"__type": "UnsupportedFeatureException"}, status=400)
        asked = json.loads(await request.read())
        known = [arn for arn in asked["tasks"] if asked.get("cluster") == CLUSTER and arn in self._statuses]
        return _answer(
            {
                "tasks": [{"taskArn": arn, "lastStatus": self._statuses[arn]} for arn in known],
                "failures": [{"arn": arn, "reason": "MISSING"} for arn in asked["tasks"] if arn not in known],
            }
        )


def _arn(task: str) -> str:
    return f"arn:aws:ecs:{REGION}:{_ACCOUNT}:task/{CLUSTER}/{task}"


def _answer(body: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(status=status, text=json.dumps(body), content_type=_CONTENT_TYPE)
