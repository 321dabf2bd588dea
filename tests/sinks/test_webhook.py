import hashlib
import hmac
import json
from functools import partial

import pytest
from aiohttp.test_utils import unused_port

from pipeline.errors import SinkError
from sinks.courier import RecordsRefused
from sinks.outage import Outage
from sinks.record import to_line, to_record
from sinks.registry import make_sink
from sinks.segments import parse
from sinks.settings import WebhookSettings
from sinks.webhook import WebhookRemote, sign
from tests.sinks.samples import numbered
from tests.sinks.server import Hook, off_the_loop, serving, until

RECORDS = [parse(to_line(numbered(seq))) for seq in range(3)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Outages of tests are short."""
    monkeypatch.setattr("sinks.courier.Outage", partial(Outage, 0.005, 0.01))


def hook_at(port: int, **options: object) -> WebhookSettings:
    return WebhookSettings(url=f"http://127.0.0.1:{port}/hook", **options)


async def send(settings: WebhookSettings, records=RECORDS) -> None:
    async with WebhookRemote(settings).session() as session:
        await session.send(records)


async def test_records_are_posted_as_one_json_array():
    hook = Hook()
    async with serving(hook) as server:
        await send(hook_at(server.port))
    assert json.loads(hook.bodies[0]) == [to_record(numbered(seq)) for seq in range(3)]
    assert hook.headers[0]["Content-Type"] == "application/json"
    assert not {"Authorization", "X-Janus-Signature"} & set(hook.headers[0])


async def test_a_secret_signs_the_body_and_a_token_opens_the_door():
    hook = Hook()
    async with serving(hook) as server:
        await send(hook_at(server.port, secret="s3cret", token="t0ken"))
    expected = hmac.new(b"s3cret", hook.bodies[0], hashlib.sha256).hexdigest()
    assert hook.headers[0]["X-Janus-Signature"] == f"sha256={expected}" == sign("s3cret", hook.bodies[0])
    assert hook.headers[0]["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("status", [204, 299])
async def test_any_2xx_is_a_yes(status):
    hook = Hook()
    hook.status = status
    async with serving(hook) as server:
        await send(hook_at(server.port))


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 429, 500, 503])
async def test_what_may_get_better_is_tried_again(status):
    hook = Hook()
    hook.status = status
    async with serving(hook) as server:
        with pytest.raises(SinkError, match=f"answers with status {status}") as raised:
            await send(hook_at(server.port))
    assert not isinstance(raised.value, RecordsRefused)
    assert "/hook" not in str(raised.value)


@pytest.mark.parametrize("status", [413, 422])
async def test_what_says_never_is_not(status):
    hook = Hook()
    hook.status = status
    async with serving(hook) as server:
        with pytest.raises(RecordsRefused, match=f"status {status}"):
            await send(hook_at(server.port))


async def test_a_server_that_never_answers_or_is_not_there_is_an_outage():
    hook = Hook()
    hook.hanging = True
    async with serving(hook) as server:
        with pytest.raises(SinkError, match=r"no answer within 0.05 s"):
            await send(hook_at(server.port, timeout_s=0.05))
    with pytest.raises(SinkError, match=r"cannot be reached \(Connection refused\)"):
        await send(hook_at(unused_port()))


async def test_a_server_that_hangs_fails_and_is_restarted_gets_every_record(tmp_path):
    hook, port = Hook(), unused_port()
    runner = make_sink(hook_at(port, spool=tmp_path, timeout_s=0.1, batch=4, grace_s=30))
    runner.open()
    async with serving(hook, port):
        for seq in range(5):
            runner.write(numbered(seq))
        await until(lambda: len(hook.seqs) == 5)
        hook.status = 500
        for seq in range(5, 10):
            runner.write(numbered(seq))
        await until(lambda: runner.statistics().last_error is not None)
        assert runner.statistics().failing_since is not None
        hook.status, hook.hanging = 200, True
        await until(lambda: "no answer" in runner.statistics().last_error)
    await until(lambda: "refused" in runner.statistics().last_error)
    for seq in range(10, 20):
        runner.write(numbered(seq))
    hook.hanging = False
    async with serving(hook, port):
        await off_the_loop(runner.close)
    assert sorted(set(hook.seqs)) == list(range(20))
    assert hook.seqs == sorted(hook.seqs)
    now = runner.statistics()
    assert (now.spooled, now.waiting, now.given_up, now.failing_since) == (0, 0, 0, None)


async def test_a_server_with_a_small_limit_gets_smaller_batches_and_loses_only_what_is_too_large(tmp_path):
    hook = Hook()
    hook.most_bytes = 2 * len(to_line(numbered(0))) + 10
    async with serving(hook) as server:
        runner = make_sink(hook_at(server.port, spool=tmp_path, batch=50, grace_s=30))
        runner.open()
        for seq in range(30):
            runner.write(numbered(seq))
        await off_the_loop(runner.close)
    assert hook.seqs == list(range(30))
    assert runner.statistics().given_up == 0


async def test_no_secret_is_in_what_is_said_about_an_outage(tmp_path, caplog):
    settings = WebhookSettings(
        url=f"http://127.0.0.1:{unused_port()}/hook/pa55?key=w0rd",
        token="t0ken",
        secret="s3cret",
        spool=tmp_path,
        grace_s=0.05,
    )
    runner = make_sink(settings)
    runner.open()
    runner.write(numbered(0))
    await until(lambda: runner.statistics().last_error is not None)
    await off_the_loop(runner.close)
    said = f"{caplog.text} {settings!r} {runner.statistics()} {runner.name}"
    assert "records stay in" in said
    assert not [word for word in ("pa55", "w0rd", "t0ken", "s3cret") if word in said]
