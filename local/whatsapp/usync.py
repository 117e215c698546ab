"""usync: who is on WhatsApp, under which addresses, with which devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.whatsapp.binary_xml import Attribute, Node
from local.whatsapp.jid import LEGACY_SERVER, PHONE_SERVER, Jid

if TYPE_CHECKING:
    from local.whatsapp.accounts import Account, Device
    from local.whatsapp.network import Network


class Usync:
    """Answers usync queries.

    A *contact* query (is this number on WhatsApp?) is answered with the registered address for either form of
    a Brazilian mobile number. Queries by address match only the registered address.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def answer(self, device: Device, request: Node) -> None:
        """Answer an iq of the ``usync`` namespace."""
        usync = request.child("usync")
        query = usync.child("query") if usync is not None else None
        listed = usync.child("list") if usync is not None else None
        questions = query.children() if query is not None else []
        users = [self._user(user, questions) for user in (listed.children() if listed is not None else [])]
        attrs = dict(usync.attrs) if usync is not None else {}
        results = Node("result", {}, [Node(question.tag) for question in questions])
        answer = Node("usync", attrs, [results, Node("list", {}, users)])
        self._network.reply_result(device, request, [answer])

    def _user(self, user: Node, questions: list[Node]) -> Node:
        contact = user.child("contact")
        if contact is not None:
            return self._contact(contact.data(), questions)
        jid = user.jid("jid")
        account = self._network.directory.account(jid)
        if jid is None or account is None or not account.on_whatsapp:
            return Node("user", {"jid": jid} if jid is not None else {}, [])
        return Node("user", {"jid": jid}, self._answers(account, questions))

    def _contact(self, dialled: bytes, questions: list[Node]) -> Node:
        number = dialled.decode(errors="replace").removesuffix(f"@{LEGACY_SERVER}").lstrip("+")
        account = self._network.directory.dialled(number)
        if account is None or not account.on_whatsapp:
            return Node("user", {"jid": Jid(number, PHONE_SERVER)}, [Node("contact", {"type": "out"}, dialled)])
        by_lid = any(node.tag == "contact" and node.text("addressing_mode") == "lid" for node in questions)
        attrs: dict[str, Attribute] = {"jid": account.jid}
        if by_lid:
            attrs = {"jid": account.lid_jid, "pn_jid": account.jid}
        others = [question for question in questions if question.tag != "contact"]
        found = Node("contact", {"type": "in"}, dialled)
        return Node("user", attrs, [found, *self._answers(account, others)])

    def _answers(self, account: Account, questions: list[Node]) -> list[Node]:
        answers = []
        for question in questions:
            if question.tag == "lid":
                answers.append(Node("lid", {"val": account.lid_jid}))
            elif question.tag == "devices":
                answers.append(self._devices(account))
            elif question.tag == "status":
                answers.append(Node("status", {"t": "0"}, b""))
        return answers

    def _devices(self, account: Account) -> Node:
        listed = [
            Node("device", {"id": str(device.number)})
            for device in account.devices.values()
            if self._network.serves(device)
        ]
        return Node("devices", {}, [Node("device-list", {}, listed)])
