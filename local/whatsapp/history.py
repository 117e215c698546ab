"""A phone's past: with whom it has talked, and the chunk of history that it sends to its companions.

The real phone sends what it remembers after linking, as a peer message that announces a chunk: a zlib-compressed
``HistorySync``. The first is inside the message itself, later ones are files of the media service. Field numbers are
those of the ``waHistorySync``, ``waWeb`` and ``waE2E`` protobufs that ship with the client.
"""

from __future__ import annotations

import time
import zlib
from enum import IntEnum
from typing import TYPE_CHECKING

from local.whatsapp import content, protobuf

if TYPE_CHECKING:
    from local.whatsapp.accounts import Account
    from local.whatsapp.media import MediaStore
    from local.whatsapp.network import Network

_HISTORY_SYNC_NOTIFICATION = 5
_DAY_S = 86_400
TEXT = "Isto foi dito há tempo."


class ChunkKind(IntEnum):
    """Why the phone sends a chunk."""

    INITIAL_BOOTSTRAP = 0
    RECENT = 3


def remember(network: Network, account: Account, other: Account, days_ago: float) -> None:
    """Have a phone remember a conversation with a person, the last message of which is so many days old."""
    network.state.execute(
        "INSERT OR REPLACE INTO history VALUES (?, ?, ?)",
        (account.number, other.number, int(time.time() - days_ago * _DAY_S)),
    )


def announcement(network: Network, media: MediaStore, account: Account, kind: ChunkKind) -> bytes | None:
    """The message that carries all a phone remembers; ``None`` if it remembers nothing."""
    rows = network.state.query("SELECT other, last_at FROM history WHERE number = ? ORDER BY other", (account.number,))
    chats, pairs = [], []
    for number, last_at in rows:
        other = network.directory.dialled(str(number))
        if other is not None:
            chats.append(_chat(other, int(str(last_at))))
            pairs.append(protobuf.encode([(1, str(other.jid).encode()), (2, str(other.lid_jid).encode())]))
    if not chats:
        return None
    chunk = zlib.compress(
        protobuf.encode([(1, kind), *((2, chat) for chat in chats), (5, 1), (6, 100), *((15, pair) for pair in pairs)])
    )
    said: list[tuple[int, protobuf.FieldValue | None]] = [(6, kind), (7, 1), (9, 100)]
    if kind is ChunkKind.INITIAL_BOOTSTRAP:
        said.append((11, chunk))
    else:
        file = media.keep(chunk, "History")
        said += [(1, file.digest), (2, file.length), (3, file.key), (4, file.encrypted_digest)]
        said.append((5, file.direct_path.encode()))
    told = protobuf.encode(said)
    return protobuf.encode([(content.PROTOCOL, protobuf.encode([(2, _HISTORY_SYNC_NOTIFICATION), (6, told)]))])


def _chat(other: Account, last_at: int) -> bytes:
    address = str(other.lid_jid).encode()
    key = protobuf.encode([(1, address), (2, 0), (3, f"3A{last_at:018X}".encode())])
    message = protobuf.encode([(1, key), (2, content.text_message(TEXT)), (3, last_at)])
    said = protobuf.encode([(1, message), (2, 1)])
    return protobuf.encode([(1, address), (2, said), (5, last_at), (12, last_at), (13, other.name.encode() or None)])
