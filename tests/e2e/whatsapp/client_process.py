"""The real client in a process of its own, driven by JSON lines on stdin and reporting on stdout.

It runs alone in its process because an unfinished pairing can never be ended and because a crash of its Go
side takes the process along. Commands are ``{"do": name, ...}``; each is answered by
``{"done": name, "result": ...}`` or ``{"done": name, "error": text}``. Events come as ``{"event": name, ...}``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from neonize import events
from neonize.client import NewClient
from neonize.utils.enum import ChatPresence, ChatPresenceMedia, MediaType, ReceiptType
from neonize.utils.jid import build_jid

if TYPE_CHECKING:
    from collections.abc import Callable

    from neonize.proto.Neonize_pb2 import JID

_LOCK = threading.Lock()
_PLAIN_EVENTS = (
    "Connected",
    "Disconnected",
    "LoggedOut",
    "StreamReplaced",
    "TemporaryBan",
    "ClientOutdated",
    "ConnectFailure",
    "StreamError",
    "KeepAliveTimeout",
    "IdentityChange",
    "UndecryptableMessage",
    "ChatPresence",
    "OfflineSyncCompleted",
)


def report(**fields: Any) -> None:
    with _LOCK:
        print("@" + json.dumps(fields), flush=True)  # noqa: T201 - stdout is the wire to the test


def _jid(text: str) -> JID:
    user, _, server = text.partition("@")
    return build_jid(user, server or "s.whatsapp.net")


_EVENT_FIELDS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "TemporaryBan": lambda event: {"code": event.Code, "expire": event.Expire},
    "ConnectFailure": lambda event: {"reason": event.Reason},
    "LoggedOut": lambda event: {"on_connect": event.OnConnect},
    "ChatPresence": lambda event: {"state": event.State},
}


class ClientProcess:
    """One client over one database file."""

    def __init__(self, database: str) -> None:
        self.client = NewClient(database, uuid=f"{os.getpid()}")
        self.client.event.qr(lambda _client, data: report(event="qr", code=data.decode()))
        for name in _PLAIN_EVENTS:
            self._listen(getattr(events, name + "Ev"), name)
        self.client.event(events.MessageEv)(self._message)
        self.client.event(events.ReceiptEv)(self._receipt)

    def _listen(self, kind: Any, name: str) -> None:
        fields = _EVENT_FIELDS.get(name, lambda _event: {})
        self.client.event(kind)(lambda _client, event: report(event=name, **fields(event)))

    def _message(self, _client: NewClient, event: Any) -> None:
        info, message = event.Info, event.Message
        report(
            event="Message",
            id=info.ID,
            text=message.conversation or message.extendedTextMessage.text or message.reactionMessage.text,
            quoted=message.extendedTextMessage.contextInfo.stanzaID,
            sender=info.MessageSource.SenderAlt.User or info.MessageSource.Sender.User,
            from_me=info.MessageSource.IsFromMe,
            chat=info.MessageSource.Chat.User + "@" + info.MessageSource.Chat.Server,
        )

    def _receipt(self, _client: NewClient, event: Any) -> None:
        report(event="Receipt", ids=list(event.MessageIDs), type=event.Type)

    def connect(self) -> None:
        def run() -> None:
            try:
                self.client.connect()
                report(event="Returned")
            except Exception as error:  # noqa: BLE001 - handed to the test as it is
                report(event="Returned", error=str(error))

        threading.Thread(target=run, daemon=True).start()

    def pair_phone(self, number: str) -> str:
        return str(self.client.PairPhone(number, False))

    def send(self, to: str, text: str) -> str:
        return str(self.client.send_message(_jid(to), text).ID)

    def is_on_whatsapp(self, number: str) -> list[dict[str, Any]]:
        answers = self.client.is_on_whatsapp(number)
        return [{"jid": answer.JID.User + "@" + answer.JID.Server, "is_in": answer.IsIn} for answer in answers]

    def number_of(self, lid: str) -> str:
        return str(self.client.get_pn_from_lid(_jid(lid)).User)

    def mark_read(self, message_id: str, chat: str) -> None:
        jid = _jid(chat)
        self.client.mark_read(message_id, chat=jid, sender=jid, receipt=ReceiptType.READ)

    def compose(self, to: str) -> None:
        composing, media = ChatPresence.CHAT_PRESENCE_COMPOSING, ChatPresenceMedia.CHAT_PRESENCE_MEDIA_TEXT
        self.client.send_chat_presence(_jid(to), composing, media)

    def media_round_trip(self, text: str) -> bool:
        upload = self.client.upload(text.encode(), MediaType.MediaDocument)
        from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import DocumentMessage, Message  # noqa: PLC0415

        document = DocumentMessage(
            URL=upload.url, directPath=upload.DirectPath, mediaKey=upload.MediaKey, fileEncSHA256=upload.FileEncSHA256,
            fileSHA256=upload.FileSHA256, fileLength=upload.FileLength, mimetype="text/plain",
        )  # fmt: skip
        return bool(self.client.download_any(Message(documentMessage=document)) == text.encode())

    def logout(self) -> None:
        self.client.logout()


def main() -> None:
    logging.disable(logging.CRITICAL)
    process = ClientProcess(sys.argv[1])
    for line in sys.stdin:
        command = json.loads(line)
        name = command.pop("do")
        try:
            report(done=name, result=getattr(process, name)(**command))
        except Exception as error:  # noqa: BLE001 - handed to the test as it is
            report(done=name, error=str(error) or type(error).__name__)
    os._exit(0)


main()
