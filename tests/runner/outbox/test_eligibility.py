"""Which row goes next, whatever the outbox holds."""

from collections.abc import Collection
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from recado.contacts.model import Acquaintance, Contact
from recado.messages.model import OutboxRow
from session_runner.outbox.eligibility import CONTACT_GOOD_FOR, LOOK_AGAIN_AFTER, Contacts, Holds, LineUp
from tests.runner.fakes import CHANNEL, CLINIC, START

CHATS = "abcd"
A = Acquaintance


def a_row(sequence: int, chat: str, *, answers: bool = False, seconds: int | None = None) -> OutboxRow:
    until = START + timedelta(seconds=seconds) if seconds is not None else None
    return OutboxRow(CLINIC, CHANNEL, sequence, f"msg_{sequence}", chat, START, until, answers)


outboxes = st.lists(st.tuples(st.sampled_from(CHATS), st.booleans()), max_size=12).map(
    lambda rows: [a_row(place + 1, chat, answers=answers) for place, (chat, answers) in enumerate(rows)]
)
acquaintances = st.fixed_dictionaries(dict.fromkeys(CHATS, st.sampled_from(list(A))))


@given(outboxes, acquaintances, st.sets(st.sampled_from(CHATS)))
def test_each_chat_keeps_its_order_and_the_better_known_go_first(
    rows: list[OutboxRow], known: dict[str, Acquaintance], held: set[str]
) -> None:
    line_up, holds, sent = LineUp(rows), Holds(), list[OutboxRow]()
    for chat in held:
        holds.hold(chat, START + timedelta(hours=1), 100, START)
    while candidates := list(line_up.candidates(holds, START)):
        row = line_up.next_of(candidates, known.__getitem__)
        for other in candidates:
            answered = any(r.answers for r in rows if r.chat == other.chat and r not in sent)
            assert answered or known[row.chat] <= known[other.chat] or _answers(rows, row, sent)
        line_up.remove(row)
        sent.append(row)
    assert {row.chat for row in sent} == {row.chat for row in rows} - held
    for chat in CHATS:
        own = [row.sequence for row in sent if row.chat == chat]
        assert own == sorted(own)
        assert chat in held or own == [row.sequence for row in rows if row.chat == chat]


def _answers(rows: list[OutboxRow], row: OutboxRow, sent: list[OutboxRow]) -> bool:
    return any(other.answers for other in rows if other.chat == row.chat and other not in sent)


def test_a_log_out_keeps_later_rows_back() -> None:
    line_up = LineUp([a_row(1, "a"), a_row(2, "b")])
    assert [row.sequence for row in line_up.candidates(Holds(), START, 1)] == [1]


def test_a_held_chat_is_left_alone_until_its_time_or_something_new_for_it() -> None:
    holds = Holds()
    holds.hold("a", START + timedelta(hours=24), 7, START)
    assert holds.holds("a", 7, START)
    assert not holds.holds("a", 8, START)
    assert not holds.holds("a", 7, START + LOOK_AGAIN_AFTER)
    assert holds.soonest(["a", "b"], START) == LOOK_AGAIN_AFTER.total_seconds()
    holds.keep_only(["b"])
    assert holds.soonest(["a"], START) == float("inf")


def test_what_is_over_is_found_wherever_it_stands() -> None:
    line_up = LineUp([a_row(1, "a"), a_row(2, "a", seconds=1), a_row(3, "b", seconds=9)])
    assert [row.sequence for row in line_up.expired(START + timedelta(seconds=1))] == [2]


def test_contacts_are_read_together_and_once_a_minute() -> None:
    reads = list[list[str]]()

    def read(names: Collection[str]) -> dict[str, Contact]:
        reads.append(sorted(names))
        return dict.fromkeys(names, Contact())

    contacts = Contacts(read)
    contacts.look_up(["a", "b"], START)
    contacts.look_up(["a", "b", "c"], START)
    contacts.of("a", START)
    contacts.forget("b")
    contacts.of("b", START)
    contacts.of("a", START + CONTACT_GOOD_FOR)
    assert reads == [["a", "b"], ["c"], ["b"], ["a"]]
