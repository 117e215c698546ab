"""Sessions as text, for the state file."""

from __future__ import annotations

import json
from typing import Any

from local.whatsapp.signal.keys import KeyPair
from local.whatsapp.signal.session import Chain, Opening, Session


def _chain_out(chain: Chain) -> list[Any]:
    return [chain.key.hex(), chain.index, {str(index): seed.hex() for index, seed in chain.skipped.items()}]


def _chain_in(raw: list[Any]) -> Chain:
    return Chain(bytes.fromhex(raw[0]), raw[1], {int(index): bytes.fromhex(seed) for index, seed in raw[2].items()})


def _session_out(session: Session) -> dict[str, Any]:
    opening = session.opening
    return {
        "base": session.base_key.hex(),
        "remote": session.remote_identity.hex(),
        "root": session.root.hex(),
        "ratchet": session.ratchet.private.hex(),
        "sending": _chain_out(session.sending),
        "previous": session.previous_length,
        "receiving": [[key.hex(), _chain_out(chain)] for key, chain in session.receiving],
        "opening": [opening.prekey_id, opening.signed_prekey_id] if opening else None,
    }


def _session_in(raw: dict[str, Any]) -> Session:
    return Session(
        base_key=bytes.fromhex(raw["base"]),
        remote_identity=bytes.fromhex(raw["remote"]),
        root=bytes.fromhex(raw["root"]),
        ratchet=KeyPair(bytes.fromhex(raw["ratchet"])),
        sending=_chain_in(raw["sending"]),
        previous_length=raw["previous"],
        receiving=[(bytes.fromhex(key), _chain_in(chain)) for key, chain in raw["receiving"]],
        opening=Opening(*raw["opening"]) if raw["opening"] else None,
    )


def dump_sessions(sessions: list[Session]) -> str:
    """The sessions with one remote device, newest first, as JSON."""
    return json.dumps([_session_out(session) for session in sessions], separators=(",", ":"))


def load_sessions(text: str) -> list[Session]:
    """The inverse of :func:`dump_sessions`."""
    return [_session_in(raw) for raw in json.loads(text)]
