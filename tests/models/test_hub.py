import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
from safetensors.torch import save_file

from models import build_model, create_model, hub
from models.hub import download, fetch_checkpoint, is_hub_id
from models.registry import get_architecture
from pipeline.errors import ModelError
from tests.models.hub_server import serving

NAME, HUB_ID = "motions", "hf:someone/some-motions"
LABELS = [f"motion {index}" for index in range(8)]


class Hub:
    """Repositories as folders; `asked` lists what was fetched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, str]] = []

    def download(self, repo: str, filename: str) -> Path | None:
        self.asked.append((repo, filename))
        path = self.folder / filename
        return path if path.exists() else None

    def put(self, filename: str, content: object) -> None:
        (self.folder / filename).write_text(json.dumps(content))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A repository with weights of `motions` that the hub would give."""
    repository = Hub(tmp_path)
    save_file(build_model(NAME, seed=3).state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(hub, "download", repository.download)
    return repository


def cannot_connect(*_: Any, **__: Any) -> None:
    raise OfflineModeIsEnabled("offline mode is enabled\nmore")


def test_a_repository_gives_weights_labels_and_pixels(repository: Hub) -> None:
    repository.put("config.json", {"id2label": {str(index): label for index, label in enumerate(LABELS)}})
    repository.put("preprocessor_config.json", {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 1]})
    model = create_model(NAME, HUB_ID)
    assert torch.equal(model.head.weight, build_model(NAME, seed=3).head.weight)
    assert model.labels == tuple(LABELS)
    assert (model.spec.mean, model.spec.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 1.0))
    assert set(repository.asked) == {
        ("someone/some-motions", name)
        for name in ("model.safetensors", "config.json", "preprocessor_config.json")
    }


def test_weights_alone_will_do(repository: Hub) -> None:
    model = create_model(NAME, HUB_ID)
    assert model.digest == build_model(NAME, seed=3).digest
    assert model.labels == get_architecture(NAME).labels


def test_safetensors_go_before_a_pickle_which_is_read_as_weights_alone(repository: Hub) -> None:
    torch.save(build_model(NAME, seed=4).state_dict(), repository.folder / "pytorch_model.bin")
    assert create_model(NAME, HUB_ID).digest == build_model(NAME, seed=3).digest
    (repository.folder / "model.safetensors").unlink()
    assert create_model(NAME, HUB_ID).digest == build_model(NAME, seed=4).digest
    torch.save({"model": Path("code")}, repository.folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=rf"^{HUB_ID} pytorch_model.bin: holds more than weights"):
        create_model(NAME, HUB_ID)


def test_a_repository_without_weights_says_so(repository: Hub) -> None:
    (repository.folder / "model.safetensors").unlink()
    with pytest.raises(
        ModelError, match=rf"^{HUB_ID}: holds neither model.safetensors nor pytorch_model.bin"
    ):
        create_model(NAME, HUB_ID)


def test_timm_names_lead_to_timms_repositories(repository: Hub) -> None:
    repository.put("config.json", {"pretrained_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]}})
    spec = get_architecture(NAME)
    for name in ("vit_tiny_patch16_224", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"):
        checkpoint = fetch_checkpoint(f"timm:{name}", spec)
        assert checkpoint.mean == (0.5, 0.4, 0.3)
        assert repository.asked[-1][0] == "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    repository.put("config.json", {"pretrained_cfg": None})
    assert fetch_checkpoint("timm:vit_tiny_patch16_224", spec).mean is None
    with pytest.raises(ModelError, match="timm:vit_nano: timm publishes no such weights"):
        create_model(NAME, "timm:vit_nano")


@pytest.mark.parametrize(
    "names",
    [None, {}, {"0": "LABEL_0", "1": "LABEL_1"}, {"0": "a", "2": "c"}, {"0": 1}, ["a"]],
)
def test_names_that_say_nothing_are_passed_over(repository: Hub, names: object) -> None:
    repository.put("config.json", {"id2label": names})
    assert not fetch_checkpoint(HUB_ID, get_architecture(NAME)).labels


def test_names_in_the_weights_go_before_those_of_the_configuration(repository: Hub) -> None:
    state = build_model(NAME, seed=3).state_dict()
    save_file(state, repository.folder / "model.safetensors", {"labels": json.dumps(LABELS)})
    repository.put("config.json", {"id2label": {str(index): "other" for index in range(8)}})
    assert create_model(NAME, HUB_ID).labels == tuple(LABELS)


@pytest.mark.parametrize("values", [[0.5, 0.5], [0, 0, 0], "0.5", [1, None, 1], [float("nan")] * 3, {"a": 1}])
def test_pixels_that_no_model_reads_are_refused(repository: Hub, values: object) -> None:
    repository.put("preprocessor_config.json", {"image_std": values})
    with pytest.raises(ModelError, match=rf"^{HUB_ID}: std of the pixels must be three numbers"):
        create_model(NAME, HUB_ID)


@pytest.mark.parametrize("content", ["[]", "{", '"a"', "\xff", " " * (4 * 2**20 + 1) + "{}"])
def test_a_damaged_configuration_is_one_clear_line(repository: Hub, content: str) -> None:
    (repository.folder / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(ModelError, match=rf"^{HUB_ID}: config.json is damaged"):
        create_model(NAME, HUB_ID)


@pytest.mark.parametrize(
    ("key", "size"), [("num_frames", 32), ("image_size", 448), ("image_size", [224, 448])]
)
def test_clips_of_another_size_than_the_models_are_refused(repository: Hub, key: str, size: object) -> None:
    repository.put("config.json", {"num_frames": 16, "image_size": 224} | {key: size})
    spec = get_architecture("videomae_base_patch16_16x224")
    with pytest.raises(ModelError, match=rf"^{HUB_ID}: its {key} is .*, that of videomae_base"):
        fetch_checkpoint(HUB_ID, spec)
    repository.put("config.json", {"num_frames": 16, "image_size": 224})
    assert fetch_checkpoint(HUB_ID, spec).state


def test_without_a_network_one_line_says_what_would_do_and_comes_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    closed_port = "http://127.0.0.1:9"
    monkeypatch.setattr(hub, "hf_hub_url", partial(huggingface_hub.hf_hub_url, endpoint=closed_port))
    monkeypatch.setattr(hub, "try_to_load_from_cache", cached_in(tmp_path))
    began = time.monotonic()
    with pytest.raises(
        ModelError,
        match=rf"^{HUB_ID}: model.safetensors cannot be fetched \(.*\); give a local file of weights, or HF",
    ) as caught:
        create_model(NAME, HUB_ID)
    assert time.monotonic() - began < 10
    assert "\n" not in str(caught.value)
    assert not caplog.records


def test_without_a_network_the_cache_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "models--someone--some-motions" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc")
    torch.save(build_model(NAME, seed=3).state_dict(), snapshot / "pytorch_model.bin")
    monkeypatch.setattr(hub, "get_hf_file_metadata", cannot_connect)
    monkeypatch.setattr(hub, "try_to_load_from_cache", cached_in(tmp_path))
    assert download("someone/some-motions", "config.json") is None
    assert create_model(NAME, HUB_ID).digest == build_model(NAME, seed=3).digest


def cached_in(folder: Path) -> Any:
    return partial(huggingface_hub.try_to_load_from_cache, cache_dir=folder)


def test_a_file_comes_over_the_network_once_and_then_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({"config.json": b"{}"}) as endpoint:
        at = {"endpoint": endpoint, "cache_dir": tmp_path}
        monkeypatch.setattr(hub, "hf_hub_url", partial(huggingface_hub.hf_hub_url, endpoint=endpoint))
        monkeypatch.setattr(hub, "hf_hub_download", partial(huggingface_hub.hf_hub_download, **at))
        path = download("someone/some-motions", "config.json")
        assert path is not None
        assert path.read_bytes() == b"{}"
        assert download("someone/some-motions", "model.safetensors") is None
        with pytest.raises(ModelError, match=r"hf:someone/nothing: the hub has no such repository, or shows"):
            create_model(NAME, "hf:someone/nothing")
    monkeypatch.setattr(hub, "try_to_load_from_cache", cached_in(tmp_path))
    assert download("someone/some-motions", "config.json") == path


def test_a_connection_lost_on_the_way_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(repo: str, filename: str) -> str:
        raise LocalEntryNotFoundError("connection lost\nmore")

    monkeypatch.setattr(hub, "get_hf_file_metadata", lambda url, timeout: None)
    monkeypatch.setattr(hub, "hf_hub_download", lose)
    with pytest.raises(ModelError, match=r"model.safetensors cannot be fetched \(connection lost\)"):
        create_model(NAME, HUB_ID)


@pytest.mark.parametrize("hub_id", ["hf:", "hf:a/b/c", "hf:../secret", "hf:a b"])
def test_an_id_that_names_no_repository_is_refused(hub_id: str) -> None:
    with pytest.raises(ModelError, match="must be hf:OWNER/NAME or timm:NAME"):
        create_model(NAME, hub_id)


def test_files_are_not_taken_for_hub_ids() -> None:
    assert is_hub_id("hf:a/b")
    assert is_hub_id("timm:vit_tiny_patch16_224")
    assert is_hub_id("pretrained")
    assert not any(map(is_hub_id, ("hf.pth", "random", "./timm:x.pth", "timm/x.safetensors")))
