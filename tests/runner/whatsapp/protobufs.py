"""Builders of the events the library hands over, with the fields that are always set."""

from typing import Any

from neonize.proto import Neonize_pb2 as n
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as e2e

PATIENT_PHONE = "5511977770001"
PATIENT_LID = "938928894547328"
OWN_PHONE = "5511988880001"
OWN_LID = "688328653607671"
SECONDS = 1_795_352_400
MILLISECONDS = SECONDS * 1000 + 123


def jid(user: str = "", server: str = "", device: int = 0) -> Any:
    return n.JID(User=user, RawAgent=0, Device=device, Integrator=0, Server=server, IsEmpty=not server)


def source(
    chat: Any = None,
    sender: Any = None,
    *,
    sender_alt: Any = None,
    recipient_alt: Any = None,
    from_me: bool = False,
    group: bool = False,
) -> Any:
    chat = chat or jid(PATIENT_LID, "lid")
    return n.MessageSource(
        Chat=chat,
        Sender=sender or chat,
        IsFromMe=from_me,
        IsGroup=group,
        SenderAlt=sender_alt or jid(),
        RecipientAlt=recipient_alt or jid(),
        BroadcastListOwner=jid(),
    )


def info(message_source: Any = None, **fields: Any) -> Any:
    values = {
        "ID": "3A01",
        "ServerID": 0,
        "Type": "text",
        "Pushname": "Ana",
        "Timestamp": MILLISECONDS,
        "Category": "",
        "Multicast": False,
        "MediaType": "",
        "Edit": "",
        **fields,
    }
    return n.MessageInfo(MessageSource=message_source or source(), **values)


def message(content: Any = None, message_info: Any = None, *, edit: bool = False) -> Any:
    return n.Message(
        Info=message_info or info(),
        Message=content if content is not None else e2e.Message(conversation="Bom dia"),
        IsEphemeral=False,
        IsViewOnce=False,
        IsViewOnceV2=False,
        IsViewOnceV2Extension=False,
        IsDocumentWithCaption=False,
        IsLottieSticker=False,
        IsEdit=edit,
        UnavailableRequestID="",
        RetryCount=0,
    )


def receipt(kind: str = "DELIVERED", message_source: Any = None, ids: tuple[str, ...] = ("3EB01",)) -> Any:
    return n.Receipt(
        MessageSource=message_source or source(),
        MessageIDs=list(ids),
        Timestamp=SECONDS,
        Type=n.Receipt.ReceiptType.Value(kind),
    )


def undecryptable(message_info: Any = None, mode: str = "DECRYPT_FAIL_SHOW") -> Any:
    return n.UndecryptableMessage(
        Info=message_info or info(),
        IsUnavailable=False,
        DecryptFailMode=n.UndecryptableMessage.DecryptFailModeT.Value(mode),
    )
