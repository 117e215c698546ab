"""Choosing ports: the preferred one, or the next."""

import socket
from collections.abc import Iterator

import pytest

from local.stack import ports
from local.stack.ports import HOST, NoFreePortError, free_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_preferred_port_is_taken_if_free(taken: int) -> None:
    """Nobody is moved to another port without need."""
    free = free_port(0)
    assert free_port(free) == free


def test_a_taken_port_gives_the_next_free_one(taken: int) -> None:
    """Another program on 8080 does not keep the stack from starting."""
    assert taken < free_port(taken) <= taken + 50


def test_ports_promised_to_other_parts_are_passed_over(taken: int) -> None:
    """Two parts never get the same port."""
    first = free_port(taken)
    assert free_port(first, besides=frozenset({first})) > first


def test_when_all_are_taken_the_range_is_said(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the ports that were tried."""
    monkeypatch.setattr(ports, "_TRIED", 1)
    with pytest.raises(NoFreePortError, match=str(taken)):
        free_port(taken)
