"""The mark that every part's state carries, so that a state of which one part was lost is noticed.

The AWS emulator saves only when it is stopped cleanly, the WhatsApp simulator saves as it goes. After a power cut the
phones would know devices that no channel has any more. Each run therefore writes its number into all parts; the next
run compares what came back.
"""

import json
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError

from local.stack.options import WhatsApp
from local.stack.state import StateFolder, read_json, write_private

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_PARAMETER = "/recado/local/generation"
_PHONES_MARK = "generation"


class LostStateError(Exception):
    """A part's state is not that of the last run."""


class OtherNetworkError(Exception):
    """The state belongs to the other WhatsApp: simulated devices must never knock at the real one, nor the reverse."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A run of a stack.

    Attributes:
        name: stays the same from the first run of a folder until its state is thrown away.
        run: the number of the run, from 1.
        whatsapp: which WhatsApp the folder's channels are linked with, ``simulated`` or ``real``.
    """

    name: str
    run: int
    whatsapp: WhatsApp

    @classmethod
    def last(cls, state: StateFolder) -> Self | None:
        """Return the folder's last run, None if there was none."""
        kept = read_json(state.generation)
        return cls(str(kept["name"]), int(kept["run"]), kept["whatsapp"]) if kept else None

    @classmethod
    def next_after(cls, last: Self | None, whatsapp: WhatsApp) -> Self:
        """Return the run to come.

        Raises:
            OtherNetworkError: the last run was with the other WhatsApp.
        """
        if last is None:
            return cls(secrets.token_hex(8), 1, whatsapp)
        if last.whatsapp != whatsapp:
            raise OtherNetworkError(
                f"This folder's channels are linked with the {last.whatsapp} WhatsApp."
                f" Use another folder for the {whatsapp} one: make run WHATSAPP={whatsapp} STATE=…"
            )
        return cls(last.name, last.run + 1, whatsapp)

    @property
    def text(self) -> str:
        """The mark as it is written into the parts."""
        return f"{self.name}/{self.run}"

    def write(self, state: StateFolder, ssm: "SSMClient") -> None:
        """Mark every part with this run."""
        ssm.put_parameter(Name=_PARAMETER, Value=self.text, Type="String", Overwrite=True)
        if self.whatsapp == "simulated":
            write_private(state.whatsapp / _PHONES_MARK, self.text)
        write_private(state.generation, json.dumps(asdict(self)))


def lost_parts(last: Generation | None, state: StateFolder, ssm: "SSMClient") -> list[str]:
    """Compare the parts' marks with the last run and return a sentence for each part that is not of that run."""
    if last is None:
        return []
    lost = []
    if _emulator_mark(ssm) != last.text:
        lost.append(
            "the AWS emulator's: clinics, keys, channels, messages and linked sessions since the last clean stop"
            " (it saves only when `make run` is ended by Ctrl-C, SIGTERM or a closed terminal)"
        )
    if last.whatsapp == "simulated":
        mark = state.whatsapp / _PHONES_MARK
        if not mark.is_file() or mark.read_text(encoding="utf-8").partition("/")[0] != last.name:
            lost.append("the WhatsApp simulator's: phones, their linked devices and what they received")
    return lost


def _emulator_mark(ssm: "SSMClient") -> str | None:
    try:
        return ssm.get_parameter(Name=_PARAMETER)["Parameter"]["Value"]
    except ClientError:
        return None
