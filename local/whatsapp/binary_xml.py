"""WhatsApp's binary XML: stanzas as nested nodes, strings shortened by token dictionaries.

A node is a list: tag, attributes as key/value pairs, and optionally content (bytes or child nodes).
The decoder understands everything a client may send; the encoder writes tokens where they exist and raw
strings otherwise.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.whatsapp.jid import LID_SERVER, PHONE_SERVER, Jid
from local.whatsapp.tokens import EMPTY, Dictionaries

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST_EMPTY = 0
DICTIONARY_0 = 236
INTEROP_JID = 245
FACEBOOK_JID = 246
AD_JID = 247
LIST_8 = 248
LIST_16 = 249
JID_PAIR = 250
HEX_8 = 251
BINARY_8 = 252
BINARY_20 = 253
BINARY_32 = 254
NIBBLE_8 = 255

_COMPRESSED = 2
_MAXIMUM_INFLATED = 16 * 1024 * 1024
_DOMAINS = {0: PHONE_SERVER, 1: LID_SERVER, 128: "hosted", 129: "hosted.lid"}
_DOMAIN_NUMBERS = {server: number for number, server in _DOMAINS.items()}
_NIBBLES = "0123456789-.\0\0\0\0"
_HEXES = "0123456789ABCDEF"

Attribute = str | Jid
Content = bytes | str | list["Node"] | None


class BinaryXmlError(ValueError):
    """The bytes are not a well-formed stanza."""


@dataclass(slots=True)
class Node:
    """One element: a tag, attributes (text or JID) and content (bytes, a token string, children or nothing)."""

    tag: str
    attrs: dict[str, Attribute] = field(default_factory=dict)
    content: Content = None

    def children(self) -> list[Node]:
        """The child nodes; empty if the content is data."""
        return self.content if isinstance(self.content, list) else []

    def child(self, tag: str) -> Node | None:
        """The first child with this tag."""
        return next(self.all(tag), None)

    def all(self, tag: str) -> Iterator[Node]:
        """All children with this tag, in order."""
        return (node for node in self.children() if node.tag == tag)

    def data(self) -> bytes:
        """The content as bytes; empty if there is none or if it is a list."""
        if isinstance(self.content, str):
            return self.content.encode()
        return self.content if isinstance(self.content, bytes) else b""

    def text(self, name: str) -> str:
        """Attribute ``name`` as text; empty if it is absent."""
        value = self.attrs.get(name, "")
        return value if isinstance(value, str) else str(value)

    def jid(self, name: str) -> Jid | None:
        """Attribute ``name`` if it is a JID."""
        value = self.attrs.get(name)
        return value if isinstance(value, Jid) else None

    def without(self, *names: str) -> Node:
        """A copy of this node without these attributes; the content is shared."""
        return Node(self.tag, {k: v for k, v in self.attrs.items() if k not in names}, self.content)


class Codec:
    """Encoder and decoder over one set of dictionaries."""

    def __init__(self, dictionaries: Dictionaries) -> None:
        self._dictionaries = dictionaries
        self._encoded: dict[str, bytes] = {text: bytes([index]) for text, index in dictionaries.single_index.items()}
        for text, (dictionary, index) in dictionaries.double_index.items():
            self._encoded.setdefault(text, bytes([DICTIONARY_0 + dictionary, index]))

    def encode(self, node: Node) -> bytes:
        """Encode a stanza, with the leading flag byte (0: not compressed)."""
        out = bytearray(b"\x00")
        self._write_node(out, node)
        return bytes(out)

    def decode(self, data: bytes) -> Node:
        """Decode a stanza with its flag byte.

        Raises:
            BinaryXmlError: the bytes are malformed or truncated.
        """
        if not data:
            raise BinaryXmlError("empty stanza")
        body = memoryview(data)[1:]
        if data[0] & _COMPRESSED:
            body = memoryview(_inflate(data[1:]))
        reader = _Reader(body, self._dictionaries)
        try:
            node = reader.node()
        except (IndexError, UnicodeDecodeError, RecursionError) as error:
            raise BinaryXmlError("malformed stanza") from error
        if reader.position != len(body):
            raise BinaryXmlError("bytes left over after the stanza")
        return node

    def _write_node(self, out: bytearray, node: Node) -> None:
        _write_list_start(out, 2 * len(node.attrs) + 1 + (node.content is not None))
        self._write_text(out, node.tag)
        for name, value in node.attrs.items():
            self._write_text(out, name)
            if isinstance(value, Jid):
                self._write_jid(out, value)
            else:
                self._write_text(out, value)
        content = node.content
        if content is None:
            return
        if isinstance(content, list):
            _write_list_start(out, len(content))
            for child in content:
                self._write_node(out, child)
        elif isinstance(content, str):
            self._write_text(out, content)
        else:
            _write_binary(out, content)

    def _write_text(self, out: bytearray, text: str) -> None:
        token = self._encoded.get(text)
        if token is None:
            _write_binary(out, text.encode())
        else:
            out += token

    def _write_jid(self, out: bytearray, jid: Jid) -> None:
        if jid.device and jid.server in _DOMAIN_NUMBERS:
            out += bytes([AD_JID, _DOMAIN_NUMBERS[jid.server], jid.device])
            self._write_text(out, jid.user)
            return
        out.append(JID_PAIR)
        if jid.user:
            self._write_text(out, jid.user)
        else:
            out.append(LIST_EMPTY)
        self._write_text(out, jid.server)


STORAGE = Codec(EMPTY)
"""For stanzas kept on disk: no tokens, so that they can be read after the client was upgraded."""


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(data, _MAXIMUM_INFLATED)
    except zlib.error as error:
        raise BinaryXmlError("compressed stanza is damaged") from error
    if inflater.unconsumed_tail:
        raise BinaryXmlError("compressed stanza is too large")
    return plain


def _write_list_start(out: bytearray, size: int) -> None:
    if size == 0:
        out.append(LIST_EMPTY)
    elif size < 256:
        out += bytes([LIST_8, size])
    else:
        out.append(LIST_16)
        out += size.to_bytes(2, "big")


def _write_binary(out: bytearray, data: bytes) -> None:
    size = len(data)
    if size < 256:
        out += bytes([BINARY_8, size])
    elif size < 1 << 20:
        out.append(BINARY_20)
        out += size.to_bytes(3, "big")
    else:
        out.append(BINARY_32)
        out += size.to_bytes(4, "big")
    out += data


class _Reader:
    def __init__(self, data: memoryview, dictionaries: Dictionaries) -> None:
        self.position = 0
        self._data = data
        self._single = dictionaries.single
        self._double = dictionaries.double

    def _byte(self) -> int:
        value = self._data[self.position]
        self.position += 1
        return value

    def _integer(self, size: int) -> int:
        return int.from_bytes(self._raw(size), "big")

    def _raw(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._data):
            raise BinaryXmlError("truncated stanza")
        raw = bytes(self._data[self.position : end])
        self.position = end
        return raw

    def _list_size(self, tag: int) -> int:
        if tag == LIST_EMPTY:
            return 0
        if tag == LIST_8:
            return self._byte()
        if tag == LIST_16:
            return self._integer(2)
        raise BinaryXmlError(f"not a list: tag {tag}")

    def node(self) -> Node:
        size = self._list_size(self._byte())
        if size == 0:
            raise BinaryXmlError("a node without a tag")
        tag = self._text()
        attrs: dict[str, Attribute] = {}
        for _ in range((size - 1) >> 1):
            name = self._text()
            value = self._value(as_text=True)
            if not isinstance(value, str | Jid):
                raise BinaryXmlError(f"attribute {name} is neither text nor a JID")
            attrs[name] = value
        if size % 2 == 1:
            return Node(tag, attrs)
        content = self._value(as_text=False)
        if isinstance(content, Jid):
            raise BinaryXmlError("a JID as content")
        return Node(tag, attrs, content)

    def _text(self) -> str:
        value = self._value(as_text=True)
        if not isinstance(value, str):
            raise BinaryXmlError("expected text")
        return value

    def _value(self, *, as_text: bool) -> Attribute | bytes | list[Node] | None:
        tag = self._byte()
        if 0 < tag < len(self._single):
            return self._single[tag]
        if DICTIONARY_0 <= tag < DICTIONARY_0 + len(self._double):
            return self._double[tag - DICTIONARY_0][self._byte()]
        if tag in (BINARY_8, BINARY_20, BINARY_32):
            raw = self._raw(self._binary_size(tag))
            return raw.decode() if as_text else raw
        if tag in (LIST_EMPTY, LIST_8, LIST_16):
            return [self.node() for _ in range(self._list_size(tag))] or None
        return self._packed_or_jid(tag)

    def _packed_or_jid(self, tag: int) -> Attribute:
        if tag in (NIBBLE_8, HEX_8):
            return self._packed(_NIBBLES if tag == NIBBLE_8 else _HEXES)
        return self._jid(tag)

    def _binary_size(self, tag: int) -> int:
        if tag == BINARY_8:
            return self._byte()
        if tag == BINARY_20:
            return self._integer(3) & 0xFFFFF
        return self._integer(4)

    def _packed(self, alphabet: str) -> str:
        start = self._byte()
        raw = self._raw(start & 0x7F)
        text = "".join(alphabet[byte >> 4] + alphabet[byte & 15] for byte in raw)
        return text[:-1] if start & 0x80 else text

    def _jid(self, tag: int) -> Jid:
        if tag == JID_PAIR:
            user = self._value(as_text=True)
            return Jid(user if isinstance(user, str) else "", self._text())
        if tag == AD_JID:
            domain, device = self._byte(), self._byte()
            if domain not in _DOMAINS:
                raise BinaryXmlError(f"unknown JID domain {domain}")
            return Jid(self._text(), _DOMAINS[domain], device)
        if tag == FACEBOOK_JID:
            user_text, device = self._text(), self._integer(2)
            return Jid(user_text, self._text(), device)
        if tag == INTEROP_JID:
            user_text, device, _integrator = self._text(), self._integer(2), self._integer(2)
            return Jid(user_text, self._text(), device)
        raise BinaryXmlError(f"unknown tag {tag}")
