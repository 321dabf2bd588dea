import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sources.live.watchdog import FrozenPicture, OldPictures


def picture(shade):
    return np.full((4, 4, 3), shade, np.uint8)


@given(st.lists(st.integers(0, 2), max_size=80))
def test_it_tells_once_for_each_run_of_one_picture_that_is_long_enough(shades):
    watch = FrozenPicture(5.0)
    told = [watch.add(picture(shade), float(now)) for now, shade in enumerate(shades)]
    runs = [0] * len(shades)
    for now in range(1, len(shades)):
        runs[now] = runs[now - 1] + 1 if shades[now] == shades[now - 1] else 0
    assert told == [run == 5 for run in runs]


def test_one_changed_point_is_another_picture():
    watch, changed = FrozenPicture(5.0), picture(1)
    changed[3, 3, 2] = 2
    assert not watch.add(picture(1), 0.0)
    assert not watch.add(changed, 4.0)
    assert not watch.add(changed, 8.0)
    assert watch.add(changed, 9.0)


@given(st.lists(st.booleans(), max_size=40))
def test_it_tells_of_old_pictures_once_after_none_was_young_for_long_enough(old):
    watch = OldPictures(0.5, 5.0)
    told = [watch.add(0.6 if each else 0.5, float(now)) for now, each in enumerate(old)]
    first = next((now for now in range(5, len(old)) if all(old[now - 5 : now + 1])), None)
    assert [now for now, each in enumerate(told) if each] == ([] if first is None else [first])
