from hypothesis import given
from hypothesis import strategies as st

from sinks.segments import Parcel
from sinks.tail import Tail


def line(seq: int) -> bytes:
    return b'{"clip_id": "cam/%06d", "seq": %6d}\n' % (seq, seq)


def seqs(parcel: Parcel) -> list[int]:
    return [record.fields["seq"] for record in parcel.records]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(1, 200), st.booleans())))
def test_lines_come_out_in_order_and_only_what_is_taken_is_forgotten(steps):
    tail, added, taken = Tail(), 0, 0
    for count, most_records, most_bytes, takes in steps:
        for _ in range(count):
            assert tail.add(line(added))
            added += 1
        parcel = tail.read(most_records, most_bytes)
        assert (parcel is None) == (taken == added)
        if parcel is None:
            continue
        assert seqs(parcel) == list(range(taken, taken + len(parcel.records)))
        assert len(parcel.records) in range(1, most_records + 1)
        assert len(parcel.records) == 1 or sum(len(each.line) for each in parcel.records) <= most_bytes
        if takes:
            assert tail.take(parcel)
            taken += len(parcel.records)
        assert len(tail) == added - taken


def test_memory_is_bounded_but_holds_one_line_however_large():
    tail = Tail(2 * len(line(0)))
    assert [tail.add(line(seq)) for seq in range(3)] == [True, True, False]
    tail.drop()
    assert tail.add(line(3))
    assert seqs(tail.read(9, 9999)) == [1, 3]
    small = Tail(1)
    assert small.add(line(0))
    assert not small.add(line(1))


def test_what_left_in_another_way_meanwhile_is_not_taken():
    tail = Tail()
    for seq in range(3):
        tail.add(line(seq))
    parcel = tail.read(2, 9999)
    tail.drop()
    assert not tail.take(parcel)
    assert (tail.first, len(tail)) == (line(1), 2)
    tail.drop(2)
    assert not tail.take(parcel)
    assert tail.first is None
