"""Properties of the double ratchet: any order, lost and repeated messages, both sides, over restarts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.whatsapp.signal.messages import InvalidMessageError, position_in_chain
from local.whatsapp.signal.party import NoSessionError, Party, PartyKeys
from local.whatsapp.signal.session import MAXIMUM_CHAINS, Bundle, DuplicateMessageError, Session
from local.whatsapp.signal.storage import dump_sessions, load_sessions

NAMES = ("alice", "bob")


class StoredParty:
    """A party whose sessions can be dropped from memory and loaded again."""

    def __init__(self, name: str) -> None:
        self.keys = PartyKeys(name.encode().ljust(32, b"."))
        self.stored: dict[str, str] = {}
        self.restart()

    def restart(self) -> None:
        self.party: Party[str] = Party(self.keys, self._load, self._store)

    def _load(self, address: str) -> list[Session]:
        return load_sessions(self.stored[address]) if address in self.stored else []

    def _store(self, address: str, sessions: list[Session]) -> None:
        self.stored[address] = dump_sessions(sessions)


class Conversation:
    """Two parties and the messages between them."""

    def __init__(self) -> None:
        self.parties = {name: StoredParty(name) for name in NAMES}
        self.sent: list[tuple[str, str, bytes, bytes]] = []
        self.taken: set[int] = set()
        self.chains: dict[str, list[bytes]] = {name: [] for name in NAMES}

    def other(self, name: str) -> str:
        return NAMES[1 - NAMES.index(name)]

    def send(self, name: str) -> int:
        sender, peer = self.parties[name], self.other(name)
        if not sender.party.has_session(peer):
            sender.party.open_session(peer, self.parties[peer].keys.bundle(1))
        plaintext = f"{name} {len(self.sent)}".encode()
        kind, data = sender.party.encrypt(peer, plaintext)
        self.sent.append((peer, kind, data, plaintext))
        return len(self.sent) - 1

    def deliver(self, index: int) -> None:
        """Deliver a message, perhaps again; check that it is read exactly once, unless its chain is too old."""
        receiver, kind, data, plaintext = self.sent[index]
        chains = self.chains[receiver]
        ratchet, _counter = position_in_chain(data, opens_session=kind == "pkmsg")
        party = self.parties[receiver].party
        if ratchet in chains[:-MAXIMUM_CHAINS]:
            with pytest.raises((NoSessionError, DuplicateMessageError)):
                party.decrypt(self.other(receiver), kind, data)
        elif index in self.taken:
            with pytest.raises(DuplicateMessageError):
                party.decrypt(self.other(receiver), kind, data)
        else:
            assert party.decrypt(self.other(receiver), kind, data) == plaintext
            self.taken.add(index)
            if ratchet not in chains:
                chains.append(ratchet)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(NAMES)),
        st.tuples(st.just("deliver"), st.integers(0, 9)),
        st.tuples(st.just("restart"), st.sampled_from(NAMES)),
    ),
    min_size=20,
    max_size=70,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_message_is_read_exactly_once(steps: list[tuple[str, str | int]]) -> None:
    """Whatever is sent, delayed, repeated, lost or interrupted by a restart: each message decrypts once."""
    conversation = Conversation()
    conversation.deliver(conversation.send("alice"))
    for action, argument in steps:
        if action == "send":
            conversation.send(str(argument))
        elif action == "restart":
            conversation.parties[str(argument)].restart()
        else:
            conversation.deliver(max(len(conversation.sent) - 1 - int(argument), 0))
    positions = [position_in_chain(data, opens_session=kind == "pkmsg") for _, kind, data, _ in conversation.sent]
    assert len(set(positions)) == len(positions)


def test_both_sides_start_at_once() -> None:
    """Two sessions begun at the same moment: all four messages arrive, and the chat goes on."""
    conversation = Conversation()
    first, second = conversation.send("alice"), conversation.send("bob")
    third, fourth = conversation.send("alice"), conversation.send("bob")
    for index in (second, first, fourth, third):
        conversation.deliver(index)
    for name in ("alice", "bob", "bob", "alice"):
        conversation.deliver(conversation.send(name))


def test_first_messages_open_the_session_until_answered() -> None:
    """A sender says how to open the session with each message until the first answer."""
    conversation = Conversation()
    before = [conversation.send("alice") for _ in range(2)]
    for index in before:
        conversation.deliver(index)
    conversation.deliver(conversation.send("bob"))
    after = conversation.send("alice")
    assert [conversation.sent[index][1] for index in (*before, after)] == ["pkmsg", "pkmsg", "msg"]


def test_damaged_message_changes_nothing() -> None:
    """A message with a wrong MAC is refused, and the true one still decrypts afterwards."""
    conversation = Conversation()
    conversation.deliver(conversation.send("alice"))
    index = conversation.send("bob")
    receiver, kind, data, plaintext = conversation.sent[index]
    party = conversation.parties[receiver].party
    with pytest.raises(NoSessionError):
        party.decrypt("bob", kind, data[:-1] + bytes([data[-1] ^ 1]))
    assert party.decrypt("bob", kind, data) == plaintext


def test_bundle_with_a_wrong_signature_is_refused() -> None:
    """A signed prekey that its identity did not sign opens no session."""
    conversation = Conversation()
    true = conversation.parties["bob"].keys.bundle(1)
    false = Bundle(
        true.registration_id, true.identity, true.signed_prekey_id, true.signed_prekey, bytes(64), 1, true.prekey
    )
    with pytest.raises(InvalidMessageError):
        conversation.parties["alice"].party.open_session("bob", false)
