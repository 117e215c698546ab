"""What a ready stack tells: a shell file, a JSON description for programs, and a few lines for people."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from local.stack.demo import Demo
from local.stack.options import WhatsApp
from local.stack.state import StateFolder, write_private


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the parts of a running stack answer.

    Attributes:
        api: the front door.
        phones: the simulator, None with the real WhatsApp.
        emulator: the AWS emulator, what ``AWS_ENDPOINT_URL`` should be.
        faults: the fault proxy before it, None without one.
    """

    api: str
    phones: str | None
    emulator: str
    faults: str | None = None

    @property
    def aws(self) -> str:
        """What the platform takes for AWS: the emulator, or the fault proxy before it."""
        return self.faults or self.emulator


def write_shell_file(state: StateFolder, addresses: Addresses, demo: Demo) -> None:
    """Write what a shell sources to have addresses and keys at hand."""
    variables = {"RECADO_URL": addresses.api, "RECADO_ADMIN_KEY": demo.admin_key}
    if addresses.phones:
        variables["PHONES_URL"] = addresses.phones
    for short, clinic in demo.clinics.items():
        variables[f"{short.upper()}_CLINIC"] = clinic.clinic_id
        variables[f"{short.upper()}_KEY"] = clinic.api_key
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    write_private(state.shell_file, "\n".join(lines) + "\n")


def write_description(
    state: StateFolder,
    addresses: Addresses,
    demo: Demo,
    *,
    environment: Mapping[str, str],
    runners: Mapping[str, Mapping[str, str]],
    processes: Mapping[str, int],
) -> None:
    """Write what a program needs to use the stack, its processes' ids included.

    Args:
        state: the stack's folder.
        addresses: where its parts answer.
        demo: the demo's clinics and keys.
        environment: the variables with which the domain package works on this stack.
        runners: by shard, the variables of a runner beside the one that the stack starts; its directory is missing.
        processes: the parts' process ids.
    """
    described = {
        "url": addresses.api,
        "phones_url": addresses.phones,
        "emulator_url": addresses.emulator,
        "faults_url": addresses.faults,
        "admin_key": demo.admin_key,
        "clinics": {
            short: {"clinic_id": clinic.clinic_id, "api_key": clinic.api_key} for short, clinic in demo.clinics.items()
        },
        "environment": dict(environment),
        "runners": {shard_id: dict(variables) for shard_id, variables in runners.items()},
        "processes": dict(processes),
    }
    write_private(state.description, json.dumps(described, indent=2))


def banner(addresses: Addresses, demo: Demo, whatsapp: WhatsApp, shell_file: str) -> str:
    """Return the lines that a person reads when the stack is ready."""
    phones = f"     phones {addresses.phones}" if addresses.phones else ""
    lines = [f"  API      {addresses.api}/v1     docs {addresses.api}/docs{phones}"]
    lines += [f"  {clinic.name:<15} {clinic.clinic_id}  {clinic.api_key}" for clinic in demo.clinics.values()]
    lines.append(
        f"  next: in a second terminal  ->  source {shlex.quote(shell_file)} && make receiver &"
        "          (prints verified webhooks on 127.0.0.1:8070)"
    )
    if whatsapp == "real":
        lines.append(REAL_WHATSAPP_WARNING)
    return "\n".join(lines)


REAL_WHATSAPP_WARNING = """\
  !! This is the real WhatsApp. It bans numbers that behave like machines, for days or for good, and Recado is no
     official client. Link only a number you can lose, never a clinic's main one. docs/ban-risk.md tells more."""
