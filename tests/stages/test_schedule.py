from pipeline.items import Plan, Planned, Pruning
from stages.schedule import Schedule
from tests.pipeline.clips import make_clip
from tests.stages.packets import TickingClock


class BySeq:
    """Cuts clip n after layer n; notes whom it was asked about."""

    def __init__(self):
        self.asked = []

    def choose(self, clip):
        self.asked.append(clip)
        return Plan(Pruning("none", 0.0, (0,) * 12), clip.seq, "float32")


async def test_each_clip_gets_the_plan_chosen_for_it_and_the_time_of_the_choice():
    policy = BySeq()
    schedule = Schedule(policy, TickingClock(start_s=7.0))
    clips = [make_clip(seq) for seq in range(3)]
    planned = [await schedule(clip) for clip in clips]
    assert policy.asked == clips
    assert [type(item) for item in planned] == [Planned] * 3
    assert [item.clip for item in planned] == clips
    assert [item.plan.split for item in planned] == [0, 1, 2]
    assert [item.planned_at for item in planned] == [7.0, 7.25, 7.5]
