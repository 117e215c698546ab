"""Binary XML: what is encoded is decoded again, and nonsense is refused cleanly."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.whatsapp.binary_xml import STORAGE, BinaryXmlError, Codec, Node
from local.whatsapp.jid import LID_SERVER, PHONE_SERVER, SERVER, Jid, parse_jid
from local.whatsapp.tokens import installed_dictionaries

DICTIONARIES = installed_dictionaries()
CODEC = Codec(DICTIONARIES)

_TOKENS = [token for dictionary in (DICTIONARIES.single[1:], *DICTIONARIES.double) for token in dictionary]
_words = st.one_of(st.text(min_size=1, max_size=40), st.integers(0, len(_TOKENS) - 1).map(lambda index: _TOKENS[index]))
_jids = st.one_of(
    st.builds(Jid, st.text("0123456789", min_size=1, max_size=15), st.sampled_from([PHONE_SERVER, LID_SERVER]),
              st.integers(0, 99)),
    st.just(SERVER),
    st.builds(Jid, st.text("0123456789-", min_size=1, max_size=20), st.just("g.us"), st.just(0)),
)  # fmt: skip
_attributes = st.dictionaries(_words, st.one_of(_words, _jids), max_size=3)
_leaves = st.builds(Node, _words, _attributes, st.one_of(st.none(), st.binary(max_size=300)))
_nodes = st.recursive(
    _leaves, lambda inner: st.builds(Node, _words, _attributes, st.lists(inner, min_size=1, max_size=4)), max_leaves=6
)


@settings(max_examples=60, deadline=None)
@given(_nodes)
def test_nodes_survive_the_round_trip(node: Node) -> None:
    """Any node decodes to itself, with the client's tokens and without any."""
    assert CODEC.decode(CODEC.encode(node)) == node
    assert STORAGE.decode(STORAGE.encode(node)) == node


@given(st.binary(max_size=300))
def test_nonsense_is_refused(data: bytes) -> None:
    """Random bytes either decode or raise the one declared error."""
    try:
        CODEC.decode(data)
    except BinaryXmlError:
        return


@settings(max_examples=60, deadline=None)
@given(_nodes, st.data())
def test_truncated_stanzas_are_refused(node: Node, data: st.DataObject) -> None:
    """A stanza cut short never decodes."""
    whole = CODEC.encode(node)
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(BinaryXmlError):
        CODEC.decode(whole[:cut])


def test_lists_of_more_than_255_children_and_large_data() -> None:
    """Sixteen-bit list sizes and the long binary forms are written and read."""
    children = [Node("key", {}, bytes([index % 256])) for index in range(812)]
    node = Node(
        "iq", {"id": "1"}, [Node("list", {}, children), Node("x", {}, b"m" * 70_000), Node("y", {}, b"m" * 1_100_000)]
    )
    assert CODEC.decode(CODEC.encode(node)) == node


def test_compressed_and_packed_forms_are_read() -> None:
    """A zlib stanza and nibble- or hex-packed strings decode, with odd and even lengths."""
    plain = STORAGE.encode(Node("iq", {"id": "7"}))
    assert CODEC.decode(b"\x02" + zlib.compress(plain[1:])) == Node("iq", {"id": "7"})
    packed = b"\x00" + bytes([248, 3, 252, 1]) + b"a" + bytes([252, 1]) + b"n"
    assert CODEC.decode(packed + bytes([255, 0x83, 0x12, 0x3A, 0x5F])).attrs == {"n": "123-5"}
    assert CODEC.decode(packed + bytes([251, 2, 0xAB, 0x09])).attrs == {"n": "AB09"}


def test_addresses_are_written_as_text_and_parsed() -> None:
    """The written form of an address parses to the same address."""
    for jid in (Jid("5511988880001"), Jid("123", LID_SERVER, 4)):
        assert parse_jid(str(jid)) == jid
    assert str(Jid("123", LID_SERVER, 4)) == "123:4@lid"
    with pytest.raises(ValueError, match="user@server"):
        parse_jid("nobody")


def test_dictionaries_of_the_installed_client() -> None:
    """The dictionaries have the sizes of the protocol, and well-known tokens stand where they belong."""
    assert len(DICTIONARIES.single) == 236
    assert [len(dictionary) for dictionary in DICTIONARIES.double] == [256] * 4
    assert DICTIONARIES.single[:5] == ("", "xmlstreamstart", "xmlstreamend", "s.whatsapp.net", "type")
    assert DICTIONARIES.double[0][0] == "read-self"
