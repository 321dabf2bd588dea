import asyncio
import re
import shlex
from dataclasses import replace
from functools import partial

import pytest
from typer.testing import CliRunner

from commands.peers_setup import set_up_peers
from commands.rules import require_only_peers
from configs.settings import (
    ClipSettings,
    DeviceSettings,
    LinkSettings,
    ModelSettings,
    PeersSettings,
    PlanSettings,
)
from devit.files import save_fusion, save_part
from main import app
from pipeline.errors import ConfigError, HandshakeRefused, LinkLost, ModelError
from tests.commands.link import cloud_here
from tests.commands.peers import peer_here
from tests.commands.processes import MAIN, only_line
from tests.stages.parts import fusion_of, part_of, saved_parts
from transport.messages import Welcome

PARTS = 2


def settings_for(folder, *urls, part=None, **changed):
    paths, fusion = saved_parts(folder, PARTS)
    own = None if part is None else paths[part]
    given = {"link": LinkSettings(connect_s=0.2)} | changed
    return DeviceSettings(peers=PeersSettings(urls=urls, fusion=fusion, part=own), **given)


def test_peers_are_matched_to_parts_by_digest_and_say_how_large_clips_are(tmp_path):
    with peer_here(part_of(1)) as second, peer_here(part_of(0)) as first:
        setup = set_up_peers(settings_for(tmp_path, second, first), live=True)
    assert sorted(setup.met) == [0, 1]
    assert setup.shape == (1, 32, 32, 3)
    assert (setup.geometry.input_size, setup.geometry.crop_pct) == (32, 0.9)
    assert setup.clips.frames == 1
    assert setup.model_id == f"devit@{fusion_of(PARTS).digest[:8]}"
    assert list(setup.dials) == [re.search(r"127\.0\.0\.1:\d+", url)[0] for url in (second, first)]


def test_frames_are_cropped_as_the_fusion_says_that_they_were_in_training(tmp_path, unused_tcp_port):
    settings = settings_for(tmp_path, f"ws://127.0.0.1:{unused_tcp_port}", part=0)
    saved = fusion_of(PARTS)
    save_fusion(settings.peers.fusion, saved.fusion, replace(saved.info, crop_pct=0.875))
    assert set_up_peers(settings, live=True).geometry.crop_pct == 0.875


def test_what_the_fusion_was_trained_on_settles_the_shape_whatever_the_first_peer_says(tmp_path):
    with peer_here(part_of(0)) as url:
        settings = settings_for(tmp_path, url)
        saved = fusion_of(PARTS)
        save_fusion(settings.peers.fusion, saved.fusion, replace(saved.info, shape=(1, 64, 64, 3)))
        said = r"takes clips of shape \[1, 32, 32, 3\], the fusion of \[1, 64, 64, 3\]; parts of one fusion"
        with pytest.raises(ConfigError, match=said):
            set_up_peers(settings, live=True)


def test_a_part_held_here_needs_no_peer_to_be_there(tmp_path, unused_tcp_port, capfd):
    url = f"ws://127.0.0.1:{unused_tcp_port}"
    setup = set_up_peers(settings_for(tmp_path, url, part=1), live=True)
    assert (setup.part, setup.met, setup.shape) == (1, (), (1, 32, 32, 3))
    assert "is it running?; going on without its part" in capfd.readouterr().err


def test_a_replay_that_finds_no_peer_ends_in_one_line(tmp_path, unused_tcp_port):
    url = f"ws://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(LinkLost, match=r"none of the 1 peers answers: 127\.0\.0\.1:\d+: cannot connect"):
        set_up_peers(settings_for(tmp_path, url), live=False)


def test_a_cloud_where_a_peer_is_sought_and_a_part_of_another_run_end_it(tmp_path, model):
    with cloud_here(model) as cloud, pytest.raises(HandshakeRefused, match="this is no peer but a cloud"):
        set_up_peers(settings_for(tmp_path, cloud), live=True)
    stranger = f"serves part {part_of(7).digest[:8]}"
    with peer_here(part_of(7)) as peer, pytest.raises(HandshakeRefused, match=stranger):
        set_up_peers(settings_for(tmp_path, peer), live=True)


def test_a_part_that_the_fusion_does_not_know_ends_it(tmp_path):
    settings = settings_for(tmp_path, "ws://127.0.0.1:1")
    stranger = tmp_path / "stranger.safetensors"
    save_part(stranger, part_of(7).model, part_of(7).info)
    peers = settings.peers.model_copy(update={"part": stranger})
    with pytest.raises(ModelError, match=f"is part {part_of(7).digest[:8]}, the fusion was trained with"):
        set_up_peers(settings.model_copy(update={"peers": peers}), live=True)


def test_a_device_that_this_machine_lacks_ends_it_before_the_part_is_read(tmp_path):
    settings = settings_for(tmp_path, "ws://127.0.0.1:1", part=0, model=ModelSettings(device="cuda:99"))
    settings.peers.part.unlink()
    with pytest.raises(ModelError, match="device 'cuda:99': this machine has"):
        set_up_peers(settings, live=True)


def test_the_commands_of_the_document_run_as_they_are_written(tmp_path, monkeypatch):
    async def meet(dials, *_, **__):
        raise LinkLost(f"{len(dials)} peers would be asked")

    page = (MAIN.parent / "docs" / "peers.md").read_text().replace("\\\n", "")
    peer, device = [shlex.split(line)[2:] for line in re.findall(r"^\$ (.*main\.py .*)", page, re.MULTILINE)]
    saved_parts(tmp_path, 4)
    (tmp_path / "token").write_text("a-token-of-more-than-32-characters-in-all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("commands.peers_setup.meet", meet)
    monkeypatch.setattr("commands.peer.run_async", lambda serving: 0)
    assert "4 peers would be asked" in only_line(CliRunner().invoke(app, device).stderr)
    assert CliRunner().invoke(app, peer).exit_code == 0


def test_clips_of_another_length_than_the_parts_take_end_it(tmp_path):
    settings = settings_for(tmp_path, "ws://127.0.0.1:1", part=0, clips=ClipSettings(frames=16))
    with pytest.raises(ConfigError, match="clips of 16 frames: the parts take 1"):
        _ = set_up_peers(settings, live=True).clips


@pytest.mark.parametrize("shape", [None, (1, 32, 64, 3), (1, 32, 32, 4), (4096, 4096, 4096, 3)])
def test_a_shape_that_no_part_takes_is_refused_before_a_frame_of_it_is_made(tmp_path, shape, monkeypatch):
    monkeypatch.setattr("commands.peer.Welcome", partial(claiming, shape))
    with peer_here(part_of(0)) as url, pytest.raises(HandshakeRefused, match="which no part does"):
        set_up_peers(settings_for(tmp_path, url), live=True)


def claiming(claim, **fields):
    return Welcome(**(fields | {"shape": claim}))


def test_a_token_crosses_no_network_in_the_clear_to_any_of_the_peers(tmp_path):
    token = tmp_path / "token"
    token.write_text("a-token-of-more-than-32-characters-in-all\n")
    link = LinkSettings(connect_s=0.2, token_file=token)
    settings = settings_for(tmp_path, "ws://127.0.0.1:1", "ws://192.0.2.7:1", link=link)
    with pytest.raises(ConfigError, match=r"would cross the network to 192\.0\.2\.7 in the clear"):
        set_up_peers(settings, live=True)


def test_peers_behind_one_gateway_are_each_dialled_by_its_path(tmp_path, unused_tcp_port, capfd):
    url = f"ws://127.0.0.1:{unused_tcp_port}"
    setup = set_up_peers(settings_for(tmp_path, f"{url}/one", f"{url}/two", part=0), live=True)
    names = [f"127.0.0.1:{unused_tcp_port}/{name}" for name in ("one", "two")]
    said = capfd.readouterr().err
    assert list(setup.dials) == names
    assert all(f"janus: {name}: cannot connect" in said for name in names)


async def test_what_is_no_peer_is_said_to_be_none(tmp_path, unused_tcp_port):
    url = f"ws://127.0.0.1:{unused_tcp_port}"

    async def answer(reader, writer):
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", unused_tcp_port):
        with pytest.raises(HandshakeRefused, match="HTTP 404, so it is no Janus peer; check the port"):
            await asyncio.to_thread(set_up_peers, settings_for(tmp_path, url), live=True)


URL = "ws://127.0.0.1:1"
GOOD = DeviceSettings(peers=PeersSettings(urls=(URL,), fusion="fusion.safetensors"))


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"link": LinkSettings(url=URL)}, "either a cloud answers or peers do"),
        ({"plan": PlanSettings(policy="janus")}, "leaves no plan to choose but its --codec"),
        ({"plan": PlanSettings(device_only=True)}, "leaves no plan to choose"),
        ({"slowdown": 2.0}, "leaves no plan to choose"),
        ({"model": ModelSettings(name="vit_tiny_patch16_224")}, "the parts and --fusion are the model"),
        ({"plan": PlanSettings(codec="int8")}, "codec int8 cannot encode pixels"),
        ({"plan": PlanSettings(codec="gzip")}, "codec 'gzip' is unknown"),
        ({"peers": PeersSettings(urls=(URL,))}, "add --fusion FILE"),
        ({"peers": PeersSettings(fusion="a", part="b")}, "add --peers ws://HOST:PORT"),
        ({"peers": PeersSettings(urls=(URL, URL), fusion="a")}, "the same peer is named twice"),
        ({"peers": PeersSettings(urls=(URL, f"{URL}/janus"), fusion="a")}, "the same peer is named twice"),
        ({"peers": PeersSettings(urls=("yard",), fusion="a")}, "peer URL 'yard' is not of the form ws://"),
    ],
)
def test_what_contradicts_peers_or_lacks_is_said_before_anything_is_read(changed, line):
    require_only_peers(GOOD.model_copy(update={"plan": PlanSettings(codec="jpeg:80")}))
    with pytest.raises(ConfigError, match=re.escape(line)):
        require_only_peers(GOOD.model_copy(update=changed))


@pytest.mark.parametrize("verb", [["device", "--source", "pattern:motions"], ["replay", "a.mp4", "-o", "b"]])
def test_the_command_line_says_so_too(verb, tmp_path):
    (tmp_path / "a.mp4").touch()
    verb = [str(tmp_path / word) if word in ("a.mp4", "b") else word for word in verb]
    result = CliRunner().invoke(app, [*verb, "--peers", f"{URL}, {URL}", "--fusion", "a"])
    assert result.exit_code == 2
    assert "the same peer is named twice" in only_line(result.stderr)
