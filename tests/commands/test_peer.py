import asyncio
import re
import signal
import urllib.request
from dataclasses import replace
from functools import partial

import pytest
import torch

from commands.peer import run
from configs.settings import PeerSettings
from devit.backbones import run as run_part
from models.preprocessing import preprocess
from pipeline.errors import ConfigError, HandshakeRefused, ModelError
from stages.pack_token import unpack_token
from stages.part_service import PartService
from tests.commands.link import wire_to_cloud
from tests.commands.peers import wires_to_peers
from tests.commands.processes import Listener, start
from tests.commands.test_cloud import answers_to, hello_of
from tests.devit.small import VIT
from tests.stages.parts import clip_of, fusion_of, part_of, pixels_packet, saved_parts
from transport.client import connect_cloud
from transport.codecs import codec_names
from transport.messages import PROTOCOL, Hello
from transport.security import Credentials, read_tokens
from transport.websocket import dial

PAGES = ("metrics", "healthz", "readyz")


def read(url):
    with urllib.request.urlopen(url) as page:
        return page.read().decode()


def seeker(num_parts=2, **changed):
    fusion = fusion_of(num_parts)
    fields = {
        "protocol": PROTOCOL,
        "model": "devit",
        "digest": fusion.digest,
        "codecs": codec_names(),
        "seeks": "peer",
        "parts": fusion.info.parts,
    }
    return Hello(**(fields | changed))


def token_of(part, clip):
    return run_part(part.model, preprocess(clip.frames[None], part.info.architecture.spec)).token[0]


async def test_a_peer_answers_pixels_with_the_token_of_its_part_and_says_what_took_how_long():
    clips = [clip_of(seq) for seq in range(4)]
    async with wires_to_peers(part_of(1)) as (wire,), connect_cloud(wire.dial, seeker()) as client:
        welcome = client.welcome
        results = await answers_to(client, *map(pixels_packet, clips))
    assert (welcome.serves, welcome.digest, welcome.shape) == ("peer", part_of(1).digest, (1, 32, 32, 3))
    assert welcome.codecs == ("raw", "raw+zstd", "raw+lz4", "raw+lzw", "png", "jpeg", "h264")
    for clip, result in zip(clips, sorted(results, key=lambda result: result.clip_id), strict=True):
        token = torch.from_numpy(unpack_token(result.payload, VIT.dim).copy())
        torch.testing.assert_close(token, token_of(part_of(1), clip))
        assert set(result.durations_ms) == {"queue", "decode", "tail"}


async def test_a_clip_that_does_not_fit_the_part_is_refused_and_the_next_is_served():
    good, other = pixels_packet(clip_of(0)), pixels_packet(clip_of(1))
    misfit = replace(other, header=replace(other.header, shape=(1, 64, 64, 3)))
    bad = replace(other, header=replace(other.header, clip_id="yard/bad"), payload=b"no picture")
    async with wires_to_peers(part_of(0)) as (wire,), connect_cloud(wire.dial, seeker()) as client:
        results = {result.clip_id: result for result in await answers_to(client, misfit, bad, good)}
    assert "[1, 32, 32, 3], which the part takes" in results["yard/000001"].error
    assert results["yard/bad"].error is not None
    assert results[good.header.clip_id].error is None


async def test_a_device_that_lacks_this_part_is_not_served():
    async with wires_to_peers(part_of(3)) as (wire,):
        with pytest.raises(HandshakeRefused, match=f"serves part {part_of(3).digest[:8]}"):
            async with connect_cloud(wire.dial, seeker()):
                pass


async def test_a_device_of_a_cloud_and_a_peer_do_not_take_each_other(model):
    async with wires_to_peers(part_of(0)) as (wire,):
        with pytest.raises(HandshakeRefused, match=r"^cloud: this is no cloud but a peer.*by --peers"):
            async with connect_cloud(wire.dial, hello_of(model)):
                pass
    async with wire_to_cloud(model) as wire:
        with pytest.raises(HandshakeRefused, match=r"^cloud: this is no peer but a cloud"):
            async with connect_cloud(wire.dial, seeker()):
                pass


async def test_clips_that_wait_together_share_a_batch_of_at_most_as_many_as_the_settings_say(monkeypatch):
    batches, together = [], PartService.run
    monkeypatch.setattr(PartService, "run", lambda self, b: batches.append(len(b)) or together(self, b))
    async with (
        wires_to_peers(part_of(0), max_batch=2) as (wire,),
        connect_cloud(wire.dial, seeker()) as client,
    ):
        await answers_to(client, *(pixels_packet(clip_of(seq)) for seq in range(8)))
    assert sum(batches) == 8
    assert max(batches) == 2


def test_a_peer_without_a_part_or_open_to_a_network_does_not_begin_to_listen(tmp_path, capfd):
    (path,), fusion = saved_parts(tmp_path, 1)
    with pytest.raises(ConfigError, match="add --part FILE"):
        run(PeerSettings(port=0))
    with pytest.raises(ModelError, match="is devit fusion, not a devit part"):
        run(PeerSettings(port=0, part=fusion))
    with pytest.raises(ModelError, match="device 'cuda:99': this machine has"):
        run(PeerSettings(port=0, part=tmp_path / "not read", device="cuda:99"))
    with pytest.raises(ConfigError, match="anybody who reaches"):
        run(PeerSettings(port=0, part=path, host="0.0.0.0"))
    assert capfd.readouterr().out == ""


async def test_a_process_serves_with_a_token_and_metrics_until_it_is_asked_to_end(tmp_path):
    (path,), _ = saved_parts(tmp_path, 1)
    token = tmp_path / "token"
    token.write_text("a-token-of-more-than-32-characters-in-all\n")
    process = start("peer", "--part", path, "--port", 0, "--metrics-port", 0, "--token-file", token)
    heard = Listener(process)
    try:
        said = heard.wait_for("listening at")
        assert f"part {part_of(0).digest[:8]}, 5 classes" in said
        url = re.search(r"ws://\S+", said)[0]
        with pytest.raises(HandshakeRefused, match="wants a token"):
            await dial(url)
        credentials = Credentials(token=read_tokens(token)[0])
        connect = partial(dial, url, credentials=credentials)
        async with connect_cloud(connect, seeker()) as client:
            (result,) = await answers_to(client, pixels_packet(clip_of(2)))
        torch.testing.assert_close(
            torch.from_numpy(unpack_token(result.payload, VIT.dim).copy()), token_of(part_of(0), clip_of(2))
        )
        page = re.search(r"http://\S+", heard.wait_for("metrics at"))[0]
        pages = {name: await asyncio.to_thread(read, page.replace("metrics", name)) for name in PAGES}
        assert 'janus_cloud_clips_total{outcome="ok"} 1.0' in pages["metrics"]
        assert pages["healthz"] == "ok\n" and '"ready": true' in pages["readyz"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in heard.all()
