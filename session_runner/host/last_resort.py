"""A timer of the kernel that kills this process, whatever the process does, even if it does nothing at all.

A host that is frozen past the lease's deadline must not go on: its library would find its connections broken, connect
again within milliseconds and throw the new owner off WhatsApp, before any line of ours runs. SIGKILL ends a stopped
process, too; and what waited in its sockets was never read, hence never acknowledged, and comes to the new owner.
"""

import ctypes
import os
import signal

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_BY_SIGNAL = 0


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Moment), ("value", _Moment))


class _Event(ctypes.Structure):
    # sigevent(3type): 64 bytes, of which the last are for notifications by threads.
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    )


class LastResort:
    """Kills this process at a moment that can be moved as long as it has not come (timer_create(2), Linux).

    Raises:
        OSError: the kernel gives no timer.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()
        event = _Event(signal=signal.SIGKILL, notify=_BY_SIGNAL)
        self._check(self._library.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(self._timer)))

    def strike_at(self, moment: float) -> None:
        """Set the moment, in seconds of ``time.monotonic``; one that is past strikes at once.

        Raises:
            OSError: the kernel refuses.
        """
        # A value of zero would mean never.
        nanoseconds = max(1, round(moment * 1e9))
        setting = _Setting(_Moment(0, 0), _Moment(*divmod(nanoseconds, 10**9)))
        self._check(self._library.timer_settime(self._timer, _ABSOLUTE, ctypes.byref(setting), None))

    def _check(self, answer: int) -> None:
        if answer != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
