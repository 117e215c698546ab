"""Starts the parts of a stack in order, watches them, and stops them in the reverse order."""

import asyncio
import json
import shutil
import sys
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from infra import layers
from infra.assets import StagedAssets
from local.stack import emulator, fault_proxy, simulator
from local.stack.announcement import Addresses, banner, write_description, write_shell_file
from local.stack.clients import emulator_clients
from local.stack.demo import Demo, prepare
from local.stack.deployment import Deployment, deploy
from local.stack.ecs import EcsRecords
from local.stack.environment import aws_environment, base_environment, network_environment
from local.stack.front_door import FrontDoor
from local.stack.generation import Generation, LostStateError, lost_parts
from local.stack.options import StackOptions
from local.stack.part import Part, PartFailedError
from local.stack.ports import HOST, free_port
from local.stack.readiness import until_answers
from local.stack.report import Report
from local.stack.shared_packages import SharedPackages
from local.stack.state import CHECKOUT, StateFolder
from local.stack.synthesis import templates
from local.stack.tasks import ProcessService
from local.whatsapp.redirect import client_environment

_EMULATOR_STOP_SECONDS = 60.0
_SIMULATOR_STOP_SECONDS = 20.0
_FAULTS_STOP_SECONDS = 5.0
_HEALTHY_SECONDS = 60


class Stack:
    """One running stack.

    Args:
        options: what to start.
        state: the folder, held by this process.
        holding: the descriptor that holds it, for the parts that write into it.
        report: where to tell what happens.
    """

    def __init__(self, options: StackOptions, state: StateFolder, holding: int, report: Report) -> None:
        self._options = options
        self._holding = holding
        self._state = state
        self._report = report
        self._emulator: Part | None = None
        self._simulator: Part | None = None
        self._faults: Part | None = None
        self._front_door: FrontDoor | None = None
        self._services: list[ProcessService] = []
        self._ecs = EcsRecords()
        self._watches: list[asyncio.Task[None]] = []
        self._addresses: Addresses | None = None
        self._deployment: Deployment | None = None
        self._demo: Demo | None = None
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start every part and return when the API answers.

        Raises:
            PartFailedError: a part did not start.
            LostStateError: part of the kept state is gone, and the options do not say what to do.
            DeploymentError, SynthesisError, MissingAssetError: the platform could not be deployed.
        """
        addresses = self._choose_addresses()
        self._addresses = addresses
        self._report("starting the AWS emulator and the phones")
        await asyncio.gather(self._start_emulator(addresses), self._start_simulator(addresses), self._build())
        await self._mark_generation()
        self._report("deploying the platform")
        self._deployment = await self._deploy(addresses)
        self._front_door = FrontDoor(addresses.emulator + self._deployment.api_path, _port(addresses.api))
        await self._front_door.start()
        self._report("starting the session runner and waiting for the API")
        await self._ecs.start()
        self._start_services(self._deployment, addresses)
        await asyncio.gather(self._until_healthy(addresses.api), self._register_people(addresses))
        self._demo = await prepare(addresses.api, self._state, self._make_admin_key, clinics=self._options.demo)
        write_shell_file(self._state, addresses, self._demo)
        self._describe()
        self._report(banner(addresses, self._demo, self._options.whatsapp, _shown(self._state.shell_file)))

    async def until_failed(self) -> None:
        """Wait until a part that nothing can stand in for has ended.

        Raises:
            PartFailedError: says which.
        """
        await self._failed

    def hurry(self) -> None:
        """End the runners at once instead of waiting for their sessions to be put away."""
        for service in self._services:
            service.kill()

    async def stop(self) -> None:
        """Stop the parts: runners first, since they still write to all others, the emulator last."""
        self._state.description.unlink(missing_ok=True)
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        if self._services:
            self._report("stopping: the sessions are put away")
        await asyncio.gather(*(service.stop() for service in self._services))
        await self._ecs.stop()
        if self._front_door is not None:
            await self._front_door.stop()
        if self._simulator is not None:
            await self._simulator.stop(_SIMULATOR_STOP_SECONDS)
        if self._faults is not None:
            await self._faults.stop(_FAULTS_STOP_SECONDS)
        if self._emulator is not None and not await self._emulator.stop(_EMULATOR_STOP_SECONDS):
            self._report("the AWS emulator did not end in time and was killed: what it held is lost")
        emulator.clean_up(self._state)

    def _choose_addresses(self) -> Addresses:
        taken: set[int] = set()

        def choose(what: str, preferred: int) -> int:
            port = free_port(preferred, besides=frozenset(taken))
            taken.add(port)
            if preferred not in {0, port}:
                self._report(f"port {preferred} is taken: {what} listens on {port}")
            return port

        options = self._options
        emulator_port = choose("the AWS emulator", emulator.kept_port(self._state, options.emulator_port))
        api_port = choose("the API", options.port)
        simulated = options.whatsapp == "simulated"
        phones_port = choose("the phones' simulator", options.phones_port) if simulated else None
        return Addresses(
            api=f"http://{HOST}:{api_port}",
            phones=f"http://{HOST}:{phones_port}" if phones_port else None,
            emulator=f"http://{HOST}:{emulator_port}",
            faults=f"http://{HOST}:{choose('the fault proxy', 0)}" if options.faults else None,
        )

    async def _start_emulator(self, addresses: Addresses) -> None:
        self._emulator = emulator.emulator_part(
            self._state, _port(addresses.emulator), holding=self._holding, functions_endpoint=addresses.faults
        )
        await self._emulator.start()
        await until_answers(self._emulator, f"{addresses.emulator}/_ministack/ready")
        self._watch(self._fail_with(self._emulator))
        if addresses.faults is not None:
            self._faults = fault_proxy.fault_proxy_part(self._state, addresses.emulator, _port(addresses.faults))
            await self._faults.start()
            await until_answers(self._faults, f"{addresses.faults}/faults")
            self._watch(self._fail_with(self._faults))

    async def _start_simulator(self, addresses: Addresses) -> None:
        if addresses.phones is None:
            return
        self._simulator = simulator.simulator_part(self._state, _port(addresses.phones), holding=self._holding)
        await self._simulator.start()
        await until_answers(self._simulator, f"{addresses.phones}/health")
        self._watch(self._keep_simulator(self._simulator, addresses.phones))

    async def _build(self) -> None:
        await asyncio.to_thread(layers.build, "native", python=emulator.EMULATOR_PYTHON)
        await asyncio.to_thread(templates)

    async def _mark_generation(self) -> None:
        if self._addresses is None:
            return
        ssm = emulator_clients(self._addresses.emulator)("ssm")
        last = Generation.last(self._state)
        generation = Generation.next_after(last, self._options.whatsapp)
        lost = await asyncio.to_thread(lost_parts, last, self._state, ssm)
        if lost:
            sentences = "\n".join(f"  - {sentence}" for sentence in lost)
            if not self._options.resume:
                raise LostStateError(
                    f"The last run did not end cleanly, and some of its state is lost:\n{sentences}\n"
                    "Start afresh with:      make run FRESH=1\n"
                    "or with what is left:   make run RESUME=1"
                )
            self._report(f"going on without what was lost:\n{sentences}")
        await asyncio.to_thread(generation.write, self._state, ssm)

    async def _deploy(self, addresses: Addresses) -> Deployment:
        staging = self._state.root / "staging"
        shutil.rmtree(staging, ignore_errors=True)
        return await asyncio.to_thread(
            deploy,
            addresses.emulator,
            await asyncio.to_thread(templates),
            SharedPackages(StagedAssets(staging=staging, interpreter=emulator.EMULATOR_PYTHON), staging),
            {"PublicUrl": addresses.api, "IdentityAddress": addresses.emulator},
        )

    def _start_services(self, deployment: Deployment, addresses: Addresses) -> None:
        for shard_id in deployment.shard_ids if self._options.runners else ():
            service = ProcessService(
                f"runner-{shard_id}",
                partial(self._runner_part, shard_id, deployment, addresses),
                ecs=self._ecs,
                disk=self._state.runner / shard_id,
                start_delay=self._options.task_start_delay,
                report=self._report,
                changed=self._describe,
            )
            service.start()
            self._services.append(service)

    def _runner_part(
        self, shard_id: str, deployment: Deployment, addresses: Addresses, disk: Path, task: Mapping[str, str]
    ) -> Part:
        environment = {
            **self._runner_environment(shard_id, deployment, addresses),
            **task,
            "RECADO_RUNNER_DIRECTORY": str(disk),
            "RECADO_HEALTH_PORT": str(free_port(0)),
        }
        command: list[str | Path] = [sys.executable, "-m", "session_runner"]
        return Part(
            f"runner-{shard_id}",
            command,
            environment=environment,
            folder=CHECKOUT,
            logs=self._state.logs,
            holding=self._holding,
        )

    def _runner_environment(self, shard_id: str, deployment: Deployment, addresses: Addresses) -> dict[str, str]:
        return {
            **base_environment(),
            **aws_environment(addresses.aws),
            **deployment.environment(),
            "RECADO_SHARD_ID": shard_id,
            "RECADO_HEALTH_HOST": HOST,
            # As the stage has it for the API.
            "RECADO_PROXY_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
            **self._whatsapp_environment(addresses),
        }

    def _whatsapp_environment(self, addresses: Addresses) -> dict[str, str]:
        if addresses.phones is None:
            return network_environment()
        client = client_environment(_port(addresses.phones), self._state.whatsapp)
        return {
            "RECADO_WHATSAPP_ENVIRONMENT": json.dumps(client),
            # Nobody is there to take offence at speed, and nobody wants to wait.
            "RECADO_SEND_GAP_SECONDS": "[0, 0]",
            "RECADO_SEND_PER_HOUR": "0",
            "RECADO_COLD_PER_DAY": "[]",
            "RECADO_TYPING_SECONDS": "[0, 0]",
            "RECADO_CONNECT_BACKOFF_SECONDS": "[0.5, 10]",
        }

    async def _until_healthy(self, url: str) -> None:
        answered = ""
        async with aiohttp.ClientSession() as client:
            for _ in range(_HEALTHY_SECONDS * 5):
                async with client.get(f"{url}/health") as answer:
                    answered = f"{answer.status} {await answer.text()}"
                if _healthy(answered, sessions=self._options.runners):
                    return
                await asyncio.sleep(0.2)
        raise PartFailedError(f"the API is not healthy after {_HEALTHY_SECONDS} s: {answered}")

    async def _register_people(self, addresses: Addresses) -> None:
        if addresses.phones is not None and self._options.demo:
            await simulator.register_people(addresses.phones)

    async def _make_admin_key(self) -> str:
        if self._deployment is None or self._addresses is None:
            raise PartFailedError("a platform key needs the deployed tables")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "local.stack.platform_key",
            "local",
            env={
                **base_environment(),
                **aws_environment(self._addresses.emulator),
                **self._deployment.environment(),
            },
            cwd=CHECKOUT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, complaint = await process.communicate()
        if process.returncode != 0:
            raise PartFailedError(f"no platform key could be made: {complaint.decode(errors='replace')}")
        return printed.decode().strip()

    def _describe(self) -> None:
        if self._addresses is None or self._deployment is None or self._demo is None:
            return
        parts = {"emulator": self._emulator, "whatsapp": self._simulator, "faults": self._faults}
        processes = {name: part.pid for name, part in parts.items() if part and part.pid}
        processes |= {service.name: service.pid for service in self._services if service.pid}
        environment = {**aws_environment(self._addresses.emulator), **self._deployment.environment()}
        runners = {
            shard_id: self._runner_environment(shard_id, self._deployment, self._addresses)
            for shard_id in self._deployment.shard_ids
        }
        write_description(
            self._state,
            self._addresses,
            self._demo,
            environment=environment,
            runners=runners,
            processes=processes,
        )

    def _watch(self, watching: Coroutine[Any, Any, None]) -> None:
        self._watches.append(asyncio.create_task(watching))

    async def _fail_with(self, part: Part) -> None:
        status = await part.wait()
        if not self._failed.done():
            self._failed.set_exception(part.failure(f"ended with status {status}, and the stack with it"))

    async def _keep_simulator(self, part: Part, url: str) -> None:
        while True:
            status = await part.wait()
            self._report(f"{part.failure(f'ended with status {status}')}\n  it is started again")
            await part.start()
            await until_answers(part, f"{url}/health")
            self._describe()


def _healthy(answered: str, *, sessions: bool) -> bool:
    """Whether the API's checks are as good as they can be: without runners there are no sessions."""
    _, _, body = answered.partition(" ")
    try:
        checks = json.loads(body)["checks"]
    except (ValueError, KeyError):
        return False
    return all(check["status"] == "healthy" for name, check in checks.items() if sessions or name != "sessions")


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
