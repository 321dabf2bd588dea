"""Gathering: which parts of an ensemble a clip waits for, and until when."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

MARGIN_S = 0.015
DECAY = 0.98
NEWEST = 0.2
GIVING_IN = 0.9


class Peak:
    """The largest of late values: each new one counts at least a little less than the one before it."""

    def __init__(self, value: float = 0.0, decay: float = DECAY) -> None:
        self.value = value
        self._decay = decay

    def add(self, value: float) -> None:
        self.value = max(value, self.value * self._decay)


@dataclass(slots=True)
class _Waiting:
    """Parts that a clip waits for still, those that are behind, and those that are in. `deadline` is the
    promise; `longest` holds without one; from `content_at` on one answer is enough."""

    awaited: set[int]
    behind: set[int]
    began: float
    deadline: float
    longest: float
    content_at: float
    arrived: set[int] = field(default_factory=set)


class Gathering:
    """Decides every clip exactly once, as soon as the parts that it waits for are in or gone, and at the
    latest when only as much time is left as the fusion takes.

    A part is waited for where its peer is connected and owes nothing: one that is behind may still answer,
    but holds up no clip that has another. Times in s.
    """

    def __init__(self, answer_s: float, margin_s: float = MARGIN_S) -> None:
        self._answer_s = answer_s
        self._margin_s = margin_s
        self._waiting: dict[str, _Waiting] = {}
        self._fusion = Peak()
        self._here = Peak()
        self._first_s = 0.0
        self._ends = math.inf

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def lead_s(self) -> float:
        """How long before its deadline a clip is decided, where that leaves it half of its time: the fusion,
        which may have to wait for a part that runs on the same thread, and a margin."""
        return self._fusion.value + self._here.value + self._margin_s

    def begin(self, clip_id: str, prompt: Mapping[int, bool], now: float, deadline: float = math.inf) -> None:
        """A clip goes out to the parts in `prompt`, which says of each whether it owes nothing."""
        awaited = {part for part, keeps_up in prompt.items() if keeps_up} or set(prompt)
        longest, content_at = now + self._answer_s, self._half_way(now)
        self._waiting[clip_id] = _Waiting(awaited, set(prompt) - awaited, now, deadline, longest, content_at)

    def arrived(self, clip_id: str, part: int) -> bool:
        """Take in an answer; False where it comes too late, or again."""
        waiting = self._waiting.get(clip_id)
        if waiting is None or part in waiting.arrived:
            return False
        waiting.arrived.add(part)
        waiting.awaited.discard(part)
        return True

    def missing(self, clip_id: str, part: int) -> None:
        """This part will not answer this clip."""
        waiting = self._waiting.get(clip_id)
        if waiting is not None:
            waiting.awaited.discard(part)
            waiting.behind.discard(part)

    def end_by(self, now: float, ends: float) -> None:
        """The run is to end: a clip that has an answer waits for no other any more, one that has none yet
        for half of the time that is left for it until `ends`."""
        self._ends = ends
        for waiting in self._waiting.values():
            waiting.content_at = now if waiting.arrived else self._half_way(now)

    def next_due(self) -> tuple[str, float] | None:
        """The clip to decide next, and when; a time that is past means now."""
        due = {clip_id: self._due_at(waiting) for clip_id, waiting in self._waiting.items()}
        return min(due.items(), key=lambda item: item[1], default=None)

    def decide(self, clip_id: str) -> tuple[int, ...]:
        """The parts whose answers are in; from now on every other is too late, and one that was waited for
        in vain is behind."""
        decided = self._waiting.pop(clip_id)
        for waiting in self._waiting.values():
            waiting.behind |= waiting.awaited & decided.awaited
            waiting.awaited -= decided.awaited
        return tuple(sorted(decided.arrived))

    def hopeless(self, now: float, deadline: float) -> bool:
        """Whether a clip that goes out now would hardly have its first answer before its deadline. Who asks
        on and on hears no in the end: it is tried again."""
        if now + self._first_s + self.lead_s <= deadline:
            return False
        self._first_s *= GIVING_IN
        self._fusion.value *= GIVING_IN
        self._here.value *= GIVING_IN
        return True

    def first_in(self, seconds: float) -> None:
        """How long after it went out a clip had its first answer."""
        self._first_s += NEWEST * (seconds - self._first_s)

    def fused(self, seconds: float) -> None:
        """How long a clip took from its decision to its answer."""
        self._fusion.add(seconds)

    def ran_here(self, seconds: float) -> None:
        """How long a part took on the thread that the fusion needs."""
        self._here.add(seconds)

    def _half_way(self, now: float) -> float:
        return now + (self._ends - now) / 2

    def _due_at(self, waiting: _Waiting) -> float:
        if not waiting.awaited and (waiting.arrived or not waiting.behind):
            return -math.inf
        most_lead_s = max(0.0, (waiting.deadline - waiting.began) / 2)
        content_at = waiting.content_at if waiting.arrived else math.inf
        return min(waiting.deadline - min(self.lead_s, most_lead_s), waiting.longest, content_at)
