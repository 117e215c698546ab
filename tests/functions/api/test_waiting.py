"""Bounded waiting takes as long as it was told, in no real time."""

from tests.functions.api.support import CountingTime


def test_what_is_there_already_is_returned_without_sleeping() -> None:
    """A request for something present is answered at once."""
    time = CountingTime()
    assert time.patience.until(lambda: "there", 20) == "there"
    assert time.slept == 0


def test_looking_goes_on_until_something_is_there() -> None:
    """The answer comes soon after the thing does."""
    time = CountingTime()
    assert time.patience.until(lambda: "there" if time.slept >= 3 else None, 20) == "there"
    assert 3 <= time.slept < 4


def test_waiting_ends_when_the_time_is_up() -> None:
    """Nothing came: the caller is not kept longer than promised."""
    time = CountingTime()
    assert time.patience.until(lambda: None, 20) is None
    assert time.slept == 20


def test_no_time_still_means_one_look() -> None:
    """Waiting for zero seconds is a plain look."""
    time = CountingTime()
    looks: list[int] = []
    assert time.patience.until(lambda: looks.append(1), 0) is None
    assert len(looks) == 1
