"""What waits for an answer, and how uploads are timed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transport.world import packet
from transport.events import Acked
from transport.outbox import Outbox


def outbox_of(count: int) -> Outbox:
    outbox = Outbox()
    for number in range(count):
        outbox.add(packet(number), bytes(100 * (number + 1)))
    return outbox


def clip(number: int) -> str:
    return packet(number).header.clip_id


def send_all(outbox: Outbox, at: float, limit: int = 99) -> list[int]:
    sent = []
    while (entry := outbox.next_unsent(limit)) is not None:
        entry.sent_at = at
        sent.append(entry.packet.header.seq)
    return sent


@given(count=st.integers(0, 8), limit=st.integers(1, 8))
def test_clips_go_out_in_order_up_to_the_limit(count: int, limit: int) -> None:
    assert send_all(outbox_of(count), 0.0, limit) == list(range(min(count, limit)))


def test_an_answer_makes_room_for_the_next() -> None:
    outbox = outbox_of(4)
    assert send_all(outbox, 0.0, limit=2) == [0, 1]
    assert outbox.answer(clip(1)) == packet(1)
    assert send_all(outbox, 0.0, limit=2) == [2]


@given(answered=st.sets(st.integers(0, 5)))
def test_after_a_lost_link_all_that_is_unanswered_goes_out_again(answered: set[int]) -> None:
    outbox = outbox_of(6)
    send_all(outbox, 0.0)
    for number in answered:
        assert outbox.answer(clip(number)) is not None
        assert outbox.answer(clip(number)) is None
    outbox.link_lost()
    assert send_all(outbox, 9.0) == [number for number in range(6) if number not in answered]
    assert len(outbox) == 6 - len(answered)


def test_an_upload_is_timed_from_the_later_of_its_start_and_the_previous_ack() -> None:
    outbox = outbox_of(3)
    send_all(outbox, 10.0)
    assert outbox.acknowledge(clip(0), 12.0) == Acked(clip(0), 100, 2.0)
    assert outbox.acknowledge(clip(1), 12.5) == Acked(clip(1), 200, 0.5)
    outbox.add(packet(7), b"late")
    send_all(outbox, 20.0)
    assert outbox.acknowledge(clip(7), 21.0) == Acked(clip(7), 4, 1.0)


def test_a_new_link_starts_its_own_timing() -> None:
    outbox = outbox_of(2)
    send_all(outbox, 0.0)
    outbox.acknowledge(clip(0), 50.0)
    outbox.link_lost()
    assert outbox.acknowledge(clip(1), 51.0) is None
    send_all(outbox, 40.0)
    assert outbox.acknowledge(clip(1), 42.0) == Acked(clip(1), 200, pytest.approx(2.0))


def test_acks_of_unknown_clips_are_nothing() -> None:
    outbox = outbox_of(1)
    assert outbox.acknowledge("who/knows", 1.0) is None
    assert outbox.acknowledge(clip(0), 1.0) is None


def test_messages_over_a_limit_are_found() -> None:
    found = outbox_of(3).oversized(150)
    assert [entry.packet.header.seq for entry in found] == [1, 2]


def test_a_withdrawn_clip_is_still_counted_by_the_cloud_and_never_sent_again() -> None:
    outbox = outbox_of(3)
    assert send_all(outbox, 0.0, limit=2) == [0, 1]
    for number in (0, 2, 9):
        outbox.withdraw(clip(number))
    assert (len(outbox), outbox.wanted) == (2, 1)
    assert outbox.packet(clip(0)) is None
    assert outbox.packet(clip(1)) == packet(1)
    assert send_all(outbox, 0.0, limit=2) == [], "the one that waited is gone, the others fill the window"
    outbox.link_lost()
    assert send_all(outbox, 1.0) == [1]


def test_an_answer_is_overdue_from_when_nobody_waits_for_it_until_it_comes_or_the_link_is_lost() -> None:
    outbox = outbox_of(3)
    send_all(outbox, 0.0, limit=2)
    assert not outbox.overdue
    outbox.withdraw(clip(2))
    assert not outbox.overdue
    outbox.withdraw(clip(0))
    assert outbox.overdue
    outbox.answer(clip(0))
    assert not outbox.overdue
    outbox.withdraw(clip(1))
    outbox.link_lost()
    assert not outbox.overdue
