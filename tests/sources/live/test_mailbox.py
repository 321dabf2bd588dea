import threading

from hypothesis import given
from hypothesis import strategies as st

from sources.live.mailbox import Mailbox


@given(st.integers(1, 8), st.lists(st.none() | st.integers(), max_size=60))
def test_it_holds_the_newest_in_order_and_counts_every_other(capacity, script):
    mailbox, held, lost, pushed_out = Mailbox(capacity), [], 0, 0
    for item in script:
        if item is None:
            assert mailbox.get(0) == (held.pop(0) if held else None)
        else:
            pushed_out += mailbox.put(item)
            held.append(item)
            lost += len(held) > capacity
            held = held[-capacity:]
    assert pushed_out == lost
    assert not mailbox.drained
    mailbox.close()
    for item in held:
        assert not mailbox.drained
        assert mailbox.get(0) == item
    assert mailbox.drained
    assert mailbox.get(60) is None


def test_a_reader_that_waits_wakes_with_the_first_item_and_with_the_end():
    mailbox, got = Mailbox(2), []
    reader = threading.Thread(target=lambda: got.extend([mailbox.get(60), mailbox.get(60)]))
    reader.start()
    mailbox.put("frame")
    mailbox.close()
    reader.join(30)
    assert got == ["frame", None]
