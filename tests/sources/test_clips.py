import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.items import Clip, Frame
from sources.clips import ClipAssembler, ClipSettings


def frame(index: int, pts_s: float, label: str | None = None) -> Frame:
    pixels = np.full((2, 2, 3), index % 256, np.uint8)
    pixels[0, 0] = [index // 65536, index // 256 % 256, index % 256]
    return Frame("cam", index, pts_s, 1000.0 + pts_s, pixels, label)


def steady(count: int, rate: float) -> list[Frame]:
    return [frame(index, index / rate) for index in range(count)]


def shown(clip: Clip) -> list[int]:
    corner = clip.frames[:, 0, 0].astype(int)
    return list(corner @ [65536, 256, 1])


def assemble(frames: list[Frame], assembler: ClipAssembler) -> list[Clip]:
    clips = [clip for one in frames for clip in assembler.add(one)]
    return clips + assembler.finish()


def slots_offline(frames: list[Frame], grid_rate: float, source_rate: float) -> list[int]:
    """The frame of every slot, with all frames at hand: the first frame that is at most half a source
    period before the slot, or the one before that, whichever is nearer."""
    origin, half = frames[0].pts_s, 0.5 / source_rate + 1e-6
    chosen: list[int] = []
    while True:
        time_s = origin + len(chosen) / grid_rate
        reaching = [one for one in frames if time_s <= one.pts_s + half]
        if not reaching:
            return chosen
        first = reaching[0]
        before = frames[max(0, first.index - 1)]
        chosen.append(min((before, first), key=lambda one: abs(one.pts_s - time_s)).index)


def clips_offline(slots: list[int], spec: ClipSettings) -> list[tuple[list[int], int]]:
    """(frames, padded) of every clip; the last may be padded if it shows something after the one before."""
    clips: list[tuple[list[int], int]] = []
    covered = start = 0
    while start < len(slots):
        wanted = [start + index * spec.stride for index in range(spec.frames)]
        real = [slot for slot in wanted if slot < len(slots)]
        if real[-1] < covered:
            break
        padded = spec.frames - len(real)
        clips.append(([slots[slot] for slot in real] + [slots[real[-1]]] * padded, padded))
        if padded:
            break
        covered, start = wanted[-1] + 1, start + spec.step
    return clips


specs = st.builds(
    ClipSettings,
    frames=st.integers(1, 6),
    stride=st.integers(1, 4),
    hop=st.none() | st.integers(1, 30),
    rate=st.none() | st.sampled_from([1.0, 5.0, 12.0, 24.0, 25.0, 30.0, 60.0]),
)
rates = st.sampled_from([1.0, 6.0, 10.0, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60.0])


@given(specs, rates, st.lists(st.floats(0.02, 3.0), min_size=1, max_size=60), st.floats(-5, 1e5))
@settings(max_examples=200, deadline=None)
def test_clips_are_those_of_an_offline_restatement_whatever_the_jitter(
    spec: ClipSettings, rate: float, gaps: list[float], start: float
) -> None:
    times = np.cumsum([start, *(gap / rate for gap in gaps)])
    frames = [frame(index, float(time)) for index, time in enumerate(times)]
    clips = assemble(frames, ClipAssembler("cam", spec, rate))
    slots = slots_offline(frames, spec.rate or rate, rate)
    assert [(shown(clip), clip.padded) for clip in clips] == clips_offline(slots, spec)
    assert spec.count(len(slots)) == len(clips)


@given(specs, rates, st.integers(1, 120))
@settings(max_examples=100, deadline=None)
def test_a_constant_rate_video_is_taken_exactly(spec: ClipSettings, rate: float, count: int) -> None:
    spec = ClipSettings(spec.frames, spec.stride, spec.hop)
    clips = assemble(steady(count, rate), ClipAssembler("cam", spec, rate))
    for clip in clips:
        first = clip.seq * spec.step
        real = spec.frames - clip.padded
        assert shown(clip)[:real] == [first + index * spec.stride for index in range(real)]
        assert shown(clip)[real:] == shown(clip)[real - 1 : real] * clip.padded
        assert clip.start_s == pytest.approx(first / rate)
    assert [clip.seq for clip in clips] == list(range(len(clips)))
    assert not any(clip.padded for clip in clips[:-1])


@given(specs, rates, st.integers(1, 120))
@settings(max_examples=50, deadline=None)
def test_every_slot_shows_the_nearest_frame_of_a_constant_rate_video(
    spec: ClipSettings, rate: float, count: int
) -> None:
    frames = steady(count, rate)
    grid = spec.rate or rate
    for clip in assemble(frames, ClipAssembler("cam", spec, rate)):
        for position, index in enumerate(shown(clip)[: spec.frames - clip.padded]):
            time_s = (clip.seq * spec.step + position * spec.stride) / grid
            nearest = min(abs(one.pts_s - time_s) for one in frames)
            assert abs(frames[index].pts_s - time_s) <= nearest + 1e-5


@pytest.mark.parametrize("rate", [6.0, 24.0, 25.0, 30000 / 1001, 60.0])
def test_a_clip_leaves_with_its_own_last_frame_not_with_the_next(rate: float) -> None:
    assembler = ClipAssembler("cam", ClipSettings(4, stride=2), rate)
    counts = [len(assembler.add(one)) for one in steady(17, rate)]
    assert [index for index, count in enumerate(counts) if count] == [6, 14]


def test_milliseconds_of_a_container_do_not_shift_the_grid() -> None:
    frames = [frame(index, round(index / 30, 3)) for index in range(900)]
    clips = assemble(frames, ClipAssembler("cam", ClipSettings(16), 30.0))
    assert [index for clip in clips[:-1] for index in shown(clip)] == list(range(56 * 16))


def test_a_slow_video_asked_at_a_fast_rate_repeats_frames() -> None:
    assembler = ClipAssembler("cam", ClipSettings(8, rate=24.0), 6.0)
    first = assemble(steady(4, 6.0), assembler)[0]
    assert shown(first) == [0, 0, 0, 1, 1, 1, 1, 2]


def test_a_fast_video_asked_at_a_slow_rate_skips_frames() -> None:
    clips = assemble(steady(20, 60.0), ClipAssembler("cam", ClipSettings(5, rate=30.0), 60.0))
    assert [shown(clip) for clip in clips] == [[0, 2, 4, 6, 8], [10, 12, 14, 16, 18]]


def test_times_ids_and_deadline_of_the_documented_record() -> None:
    frames = steady(256, 25.0)
    clip = assemble(frames, ClipAssembler("cam", ClipSettings(16, stride=4), 25.0, sla_ms=300))[3]
    assert (clip.clip_id, clip.source, clip.seq) == ("cam/000003", "cam", 3)
    assert (clip.start_s, clip.end_s) == (pytest.approx(7.68), pytest.approx(10.2))
    assert clip.ready_at == frames[192 + 60].captured_at
    assert clip.deadline == pytest.approx(clip.ready_at + 0.3)
    assert clip.frames.shape == (16, 2, 2, 3)


def test_without_a_promise_there_is_no_deadline() -> None:
    assert assemble(steady(1, 25.0), ClipAssembler("cam", ClipSettings(1)))[0].deadline == math.inf


def test_a_video_shorter_than_a_clip_makes_one_padded_clip() -> None:
    (clip,) = assemble(steady(3, 30.0), ClipAssembler("cam", ClipSettings(16), 30.0))
    assert (shown(clip), clip.padded) == ([0, 1] + [2] * 14, 13)
    assert clip.ready_at == 1000 + 2 / 30


def test_no_frames_make_no_clip_and_finish_ends_for_good() -> None:
    assembler = ClipAssembler("cam", ClipSettings(4), 25.0)
    assert assembler.finish() == []
    assembler.add(frame(0, 0.0))
    assert len(assembler.finish()) == 1
    assert assembler.finish() == []


def test_labels_survive_only_where_all_frames_agree() -> None:
    frames = [frame(index, index / 10, "left" if index < 6 else "right") for index in range(8)]
    clips = assemble(frames, ClipAssembler("cam", ClipSettings(4), 10.0))
    assert [clip.label for clip in clips] == ["left", None]


def test_a_long_gap_pads_the_clip_before_it_and_starts_anew_behind_it() -> None:
    frames = [*steady(6, 10.0), *(frame(index, 5000 + index / 10) for index in range(6, 10))]
    clips = assemble(frames, ClipAssembler("cam", ClipSettings(4), 10.0))
    assert [shown(clip) for clip in clips] == [[0, 1, 2, 3], [4, 5, 5, 5], [6, 7, 8, 9]]
    assert [clip.seq for clip in clips] == [0, 1, 2]
    assert clips[2].start_s == pytest.approx(5000.6)


def test_a_short_gap_is_filled_with_the_nearest_frames() -> None:
    frames = [frame(0, 0.0), frame(1, 0.1), frame(2, 0.9), frame(3, 1.0)]
    clips = assemble(frames, ClipAssembler("cam", ClipSettings(11), 10.0))
    assert [shown(clip) for clip in clips] == [[0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3]]


def test_a_frame_that_is_not_later_than_the_last_is_passed_over() -> None:
    times = [0.0, 0.1, 0.1, 0.05, 0.2, 0.3]
    frames = [frame(index, time) for index, time in enumerate(times)]
    (clip,) = assemble(frames, ClipAssembler("cam", ClipSettings(4), 10.0))
    assert shown(clip) == [0, 1, 4, 5]


@pytest.mark.parametrize("spec", [ClipSettings(4, 3, 1), ClipSettings(4, 3, 50), ClipSettings(16, 4)])
def test_memory_holds_no_more_frames_than_one_clip_spans(spec: ClipSettings) -> None:
    assembler = ClipAssembler("cam", spec, 25.0)
    for one in steady(1000, 25.0):
        assembler.add(one)
        assert len(assembler._kept) < spec.span
    assembler.finish()
    assert not assembler._kept


def test_frames_between_the_strides_are_not_held() -> None:
    assembler = ClipAssembler("cam", ClipSettings(16, stride=4), 25.0)
    for one in steady(60, 25.0):
        assembler.add(one)
    assert len(assembler._kept) == 15


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"frames": 0}, "frames 0"), ({"frames": 4, "stride": 0}, "stride"), ({"frames": 4, "hop": 0}, "hop")],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        ClipSettings(**wrong)
    with pytest.raises(ConfigError, match="rate"):
        ClipSettings(4, rate=float(Fraction(-1, 2)))


def cut_at(frames: list[Frame], cuts: set[int], assembler: ClipAssembler) -> tuple[list[Clip], int]:
    """Clips, and frames discarded, where a scene ends before each frame whose index is in `cuts`."""
    clips, lost = [], 0
    for one in frames:
        if one.index in cuts:
            closed, discarded = assembler.cut(2000.0 + one.index)
            clips += closed
            lost += discarded
        clips += assembler.add(one)
    return clips + assembler.finish(), lost


@given(specs, rates, st.integers(1, 80), st.sets(st.integers(0, 80), max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_cut_never_mixes_two_scenes_pads_less_than_half_and_keeps_numbers_rising(
    spec: ClipSettings, rate: float, count: int, cuts: set[int]
) -> None:
    clips, _ = cut_at(steady(count, rate), cuts, ClipAssembler("cam", spec, rate))
    scenes = [{sum(cut <= index for cut in cuts) for index in shown(clip)} for clip in clips]
    for clip, scene, following in zip(clips, scenes, [*scenes[1:], set()], strict=True):
        assert len(scene) == 1
        assert clip.padded == 0 or following != scene
        assert 2 * clip.padded <= spec.frames or scene == {len(cuts - set(range(count, 81)))}
    assert [clip.seq for clip in clips] == list(range(len(clips)))


@given(st.integers(1, 6), st.integers(1, 80), st.sets(st.integers(0, 80), max_size=4))
@settings(max_examples=100, deadline=None)
def test_every_frame_is_shown_or_counted_as_discarded(size: int, count: int, cuts: set[int]) -> None:
    clips, lost = cut_at(steady(count, 25.0), cuts, ClipAssembler("cam", ClipSettings(size), 25.0))
    assert len({index for clip in clips for index in shown(clip)}) + lost == count


def test_frames_that_an_overlapping_clip_has_shown_are_not_counted_as_discarded() -> None:
    assembler = ClipAssembler("cam", ClipSettings(4, hop=2), 25.0)
    for one in steady(7, 25.0):
        assembler.add(one)
    assert assembler.discard() == 1
    assert assembler.discard() == 0


def test_a_cut_frees_the_frames_and_a_clip_begins_with_the_next_one() -> None:
    assembler = ClipAssembler("cam", ClipSettings(4), 25.0)
    clips, lost = cut_at(steady(6, 25.0), {1}, assembler)
    assert not assembler._kept
    assert lost == 1
    assert [(shown(clip), clip.padded) for clip in clips] == [([1, 2, 3, 4], 0), ([5, 5, 5, 5], 3)]
    assert clips[0].start_s == pytest.approx(1 / 25)


def test_from_half_of_its_frames_on_a_clip_that_is_cut_is_made_and_its_promise_counts_from_the_cut() -> None:
    assembler = ClipAssembler("cam", ClipSettings(4), 25.0, sla_ms=300)
    clips, lost = cut_at(steady(9, 25.0), {6, 7}, assembler)
    assert [(shown(clip), clip.padded) for clip in clips] == [
        ([0, 1, 2, 3], 0),
        ([4, 5, 5, 5], 2),
        ([7, 8, 8, 8], 2),
    ]
    assert lost == 1
    assert clips[0].ready_at == 1000.0 + 3 / 25
    assert clips[1].ready_at == 2006.0
    assert clips[1].deadline == pytest.approx(2006.3)
    assert [clip.seq for clip in clips] == [0, 1, 2]


@given(st.integers(1, 40))
def test_an_end_behind_a_cut_leaves_nothing_to_make(count: int) -> None:
    assembler = ClipAssembler("cam", ClipSettings(16), 25)
    clips = [clip for one in steady(count, 25) for clip in assembler.add(one)]
    closed, lost = assembler.cut(0.0)
    assert assembler.finish() == []
    assert assembler.finish() == []
    assert len(clips) == count // 16
    assert (len(closed), lost) == ((1, 0) if count % 16 >= 8 else (0, count % 16))


@given(first=st.integers(0, 2_000_000), count=st.integers(0, 30))
def test_clips_are_numbered_on_from_the_first(first: int, count: int) -> None:
    clips, others = (
        assemble(steady(count, 25.0), ClipAssembler("cam", ClipSettings(4, hop=3), 25.0, first_seq=seq))
        for seq in (0, first)
    )
    assert [clip.seq for clip in others] == [clip.seq + first for clip in clips]
    assert [clip.clip_id for clip in others] == [f"cam/{clip.seq + first:06d}" for clip in clips]
    assert [clip.start_s for clip in others] == [clip.start_s for clip in clips]
