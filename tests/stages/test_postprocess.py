import numpy as np
import pytest

from stages.classes import top_classes
from stages.postprocess import Postprocess, deliver
from stages.receive import Reply
from stages.tail_infer import Inferred
from stages.tail_service import TailService
from tests.stages.frames import channel_of
from transport.messages import Result

LOGITS = np.float32([0, 3, 1, 2, -1, -2, -3, -4])


class Asker:
    def __init__(self, stays=True):
        self.got = []
        self._stays = stays

    async def send_result(self, result):
        self.got.append(result)
        return self._stays


async def replies(service, *items):
    return [reply async for reply in Postprocess(service).run(await channel_of(*items))]


async def test_logits_become_the_best_classes_for_the_one_who_asked(model):
    asker = Asker()
    item = Inferred(asker, "cam/000001", LOGITS, {"queue": 1.0, "tail": 50.0})
    (reply,) = await replies(TailService(model, top_k=3), item)
    assert reply.asker is asker
    assert (reply.result.clip_id, reply.result.error) == ("cam/000001", None)
    assert reply.result.durations_ms == {"queue": 1.0, "tail": 50.0}
    expected = [(s.name, s.class_id, s.confidence) for s in top_classes(LOGITS, model.labels, 3)]
    assert list(reply.result.classes) == expected


async def test_logits_that_are_not_finite_are_an_error_of_that_clip_alone(model):
    bad = Inferred(Asker(), "cam/000000", np.full(8, np.nan, np.float32), {"tail": 50.0})
    good = Inferred(Asker(), "cam/000001", LOGITS, {})
    first, second = await replies(TailService(model), bad, good)
    assert first.result == Result(
        clip_id="cam/000000", error="the model's logits are not finite", durations_ms={"tail": 50.0}
    )
    assert second.result.error is None


async def test_answers_that_are_known_already_pass_by(model):
    known = Reply(Asker(), Result(clip_id="cam/000000", error="does not decode"))
    assert await replies(TailService(model), known) == [known]


@pytest.mark.parametrize("stays", [True, False])
async def test_an_answer_goes_to_the_one_who_asked_whether_it_stays_or_not(stays):
    asker, other = Asker(stays), Asker()
    result = Result(clip_id="cam/000000")
    assert await deliver(Reply(asker, result)) is stays
    assert (asker.got, other.got) == ([result], [])
