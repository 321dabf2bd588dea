from hypothesis import given
from hypothesis import strategies as st

from sources.camera.backlog import MOST_BYTES, MOST_FRAMES, Backlog
from sources.camera.rtp import LiveFrame

STEPS = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.sampled_from([10, MOST_BYTES // 3])), max_size=200
)


def frame(index, key=False, size=10):
    return LiveFrame((bytes(size),), key, index, 0.0)


@given(STEPS)
def test_what_comes_out_begins_with_a_key_frame_after_every_gap_and_is_bounded(steps):
    backlog, taken = Backlog(), []
    for index, (take, key, size) in enumerate(steps):
        backlog.offer(frame(index, key, size))
        assert len(backlog) <= MOST_FRAMES
        if take and (out := backlog.take()):
            taken.append(out)
    held = []
    while out := backlog.take():
        held.append(out)
    assert sum(each.num_bytes for each in held) <= MOST_BYTES
    last = -2
    for each in [*taken, *held]:
        assert each.timestamp > last
        assert each.key or each.timestamp == last + 1
        last = each.timestamp


def test_nothing_is_lost_for_a_client_that_keeps_up():
    backlog = Backlog()
    for index in range(3 * MOST_FRAMES):
        assert backlog.offer(frame(index, key=index == 0))
        assert backlog.take().timestamp == index
    assert backlog.take() is None


def test_a_client_that_takes_nothing_goes_on_at_the_next_key_frame():
    backlog = Backlog()
    taken = [backlog.offer(frame(index, key=index == 0)) for index in range(MOST_FRAMES + 2)]
    assert taken == [True] * MOST_FRAMES + [False] * 2
    assert len(backlog) == 0
    assert backlog.offer(frame(99, key=True))
    assert backlog.take().timestamp == 99


def test_bytes_are_a_limit_too_but_one_large_frame_passes_alone():
    backlog = Backlog()
    assert backlog.offer(frame(0, True, 2 * MOST_BYTES))
    assert not backlog.offer(frame(1))
    assert backlog.offer(frame(2, True))
    assert backlog.take().timestamp == 2


def test_what_was_lost_on_purpose_is_made_up_for_by_a_key_frame_only():
    backlog = Backlog()
    backlog.offer(frame(0, True))
    backlog.lose()
    assert not backlog.offer(frame(1))
    assert backlog.take() is None
    assert backlog.offer(frame(2, True))
