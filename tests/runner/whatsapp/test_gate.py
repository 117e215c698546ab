"""The gate: calls together, starts alone, and no call that hangs holds up a start."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from session_runner.whatsapp.gate import Gate


def test_calls_hold_it_together() -> None:
    """Two calls are inside at once."""
    gate, both = Gate(), threading.Barrier(2, timeout=5)

    def call() -> None:
        with gate.shared():
            both.wait()

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(call), pool.submit(call)]:
            future.result(5)


def test_a_start_is_alone() -> None:
    """While one holds it exclusively nobody else is inside, and everybody gets their turn."""
    gate, inside, alone = Gate(), [0], []
    guard = threading.Lock()

    def call(_: int) -> None:
        with gate.shared():
            with guard:
                inside[0] += 1
            time.sleep(0.001)
            with guard:
                inside[0] -= 1

    def start(_: int) -> None:
        with gate.exclusive():
            alone.append(inside[0])
            time.sleep(0.002)
            alone.append(inside[0])

    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(start if number % 5 == 0 else call, number) for number in range(100)]
        for future in work:
            future.result(10)
    assert alone == [0] * 40


def test_a_call_past_the_maps_does_not_hold_up_a_start() -> None:
    """A send that waits for the server is past its look-up; the start does not wait for its 75 s."""
    gate, release = Gate(settled_seconds=0.05), threading.Event()

    def send() -> None:
        with gate.shared():
            release.wait(10)

    sender = threading.Thread(target=send)
    sender.start()
    began = threading.Event()

    def start() -> None:
        with gate.exclusive():
            began.set()

    starter = threading.Thread(target=start)
    starter.start()
    assert began.wait(5)
    assert sender.is_alive()
    release.set()
    sender.join()
    starter.join()


def test_those_who_wait_to_be_alone_go_first() -> None:
    """A steady stream of calls does not starve a start."""
    gate, stop = Gate(settled_seconds=5), threading.Event()

    def calls() -> None:
        while not stop.is_set():
            with gate.shared():
                time.sleep(0.001)

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    done = threading.Event()

    def start() -> None:
        with gate.exclusive():
            done.set()

    starter = threading.Thread(target=start)
    starter.start()
    assert done.wait(2)
    stop.set()
    for thread in [*threads, starter]:
        thread.join()


def test_an_error_inside_lets_go() -> None:
    """Whoever fails inside leaves the gate open for the next."""
    gate = Gate()
    for hold in (gate.shared, gate.exclusive):
        with pytest.raises(ZeroDivisionError), hold():
            _ = 1 / 0
    with gate.exclusive():
        pass
