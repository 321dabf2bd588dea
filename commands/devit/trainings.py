"""The trainings of a run, each made once and found again by its file: `Trainings`."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from commands.devit.belonging import claim
from commands.devit.large import load_large
from commands.devit.options import PlanFile
from commands.devit.scene import Scene, kind_of
from devit.architecture import Architecture
from devit.backbones import build
from devit.data import Pictures
from devit.ensemble import Ensemble
from devit.evaluation import accuracy
from devit.files import Part, SavedFusion, digest_of, load_fusion, load_part, save_fusion, save_part
from devit.fusion import FusionSpec
from devit.importance import Importance
from devit.objectives import Classify, Fuse, Subtask
from devit.records import FusionInfo, PartInfo
from devit.shrink import shrink
from devit.steps import cut_head, find_importance, first_ensemble, random_importance

LARGE, FUSION = "large.safetensors", "fusion.safetensors"


class Trainings:
    """What DeViT trains, in its order; `steps` says of "large", "teacher", "part" or "fusion" for how long,
    when such a training begins.

    `plan` remembers the digest of each. ConfigError, naming the file, for one that is found and is not
    what would have been made.
    """

    def __init__(self, scene: Scene, steps: Callable[[str], int], plan: PlanFile) -> None:
        self._scene = scene
        self._steps = steps
        self._plan = plan

    def large(self) -> Part:
        """M_0: the large model on everything, from the weights that were given."""
        scene, path = self._scene, self._scene.folder / LARGE
        everything = tuple(range(scene.large.num_classes))

        def make() -> None:
            model = load_large(
                scene.options.model, scene.large, scene.options.weights, scene.seed_of("large")
            ).to(scene.device)
            start = digest_of(scene.large, model)
            self._teach("large", model, scene.large, scene.train, scene.test)
            self._save(path, model, (scene.large, scene.test), everything, start)

        return self._once(path, "large", make, scene.large, classes=everything)

    def teacher(self, part: int, large: Part) -> Part:
        """M_i: the large model of a part's classes, from M_0 with its head cut; or that as it is."""
        scene, classes = self._scene, self._scene.subsets[part]
        name = f"teacher-{part + 1}"
        path = scene.steps(f"{name}.safetensors")
        architecture = scene.large.with_classes(len(classes))

        def make() -> None:
            model = cut_head(large.model, scene.large, classes).to(scene.device)
            own, test = self._of_part(part)
            self._teach(name, model, architecture, own, test)
            self._save(path, model, (architecture, test), classes, large.digest)

        return self._once(path, name, make, architecture, classes=classes, teacher=large.digest)

    def student(self, part: int, large: Part, teacher: Part) -> Part:
        """A part: shrunk from its teacher by what matters to its classes, then taught by it."""
        scene, name = self._scene, f"part-{part + 1}"
        path, classes = scene.steps(f"{name}.safetensors"), scene.subsets[part]
        small = scene.small.with_classes(len(classes))

        def make() -> None:
            own, test = self._of_part(part)
            model = shrink(teacher.model, self._importance(part, large, teacher), small).to(scene.device)
            objective = subtask_of(scene, model, small, teacher.model.to(scene.device))
            scene.teach(
                *(name, model, objective),
                scored=(model, small),
                data=(own, test),
                steps=self._steps("part"),
            )
            self._save(path, model, (small, test), classes, teacher.digest)

        return self._once(path, name, make, small, classes=classes, teacher=teacher.digest)

    def fusion(self, large: Part, students: list[Part]) -> SavedFusion:
        """Students and their fusion, taught together by M_0; writes the files of all parts before its own."""
        scene, path = self._scene, self._scene.folder / FUSION
        found = path.exists()
        if not found:
            steps = self._steps("fusion")
            models = [one.model.requires_grad_(True) for one in students]
            objective = fuse_of(scene, models, large.model.to(scene.device), steps)
            learner = nn.ModuleList([objective.ensemble, objective.into_teacher])
            scene.teach(
                *("fusion", learner, objective),
                scored=(objective.ensemble, scene.large),
                data=(scene.train, scene.test),
                steps=steps,
            )
            self._save_ensemble(path, objective.ensemble, large, students)
            scene.steps("fusion.checkpoint").unlink(missing_ok=True)
        digests = [load_part(scene.part(part)).digest for part in range(len(students))]
        fusion = load_fusion(path, digests)
        wanted = asdict(fusion_spec(scene, len(students)))
        wanted |= {"labels": scene.labels, "teacher": large.digest}
        claim(path, fusion, scene, self._plan, wanted, found=found)
        return fusion

    def _save_ensemble(self, path: Path, ensemble: Ensemble, large: Part, students: list[Part]) -> None:
        scene = self._scene
        digests = []
        for part, (model, student) in enumerate(zip(ensemble.parts, students, strict=True)):
            scored = accuracy(model, student.info.architecture, self._of_part(part)[1], scene.device)
            info = replace(student.info, accuracy=scored)
            digests.append(save_part(scene.part(part), model, info))
        scored = accuracy(ensemble, scene.large, scene.test, scene.device)
        spec, labels = ensemble.fusion.spec, scene.labels
        info_of_all = FusionInfo(
            *(spec, tuple(digests), labels, large.digest, scene.data, scored, scene.options.seed),
            crop_pct=scene.large.spec.crop_pct,
            shape=scene.shape,
        )
        save_fusion(path, ensemble.fusion, info_of_all)

    def _importance(self, part: int, large: Part, teacher: Part) -> Importance:
        scene = self._scene
        by, seed = scene.options.importance, scene.seed_of(f"importance-{part + 1}")
        if by == "random":
            return random_importance(scene.large, seed)
        judged, pictures = (large, scene.train) if by == "all" else (teacher, self._of_part(part)[0])
        model = judged.model.to(scene.device)
        return find_importance(model, judged.info.architecture, pictures, seed, scene.device)

    def _teach(
        self, name: str, model: nn.Module, architecture: Architecture, shown: Pictures, held_out: Pictures
    ) -> None:
        self._scene.teach(
            *(name, model, Classify(model, architecture)),
            scored=(model, architecture),
            data=(shown, held_out),
            steps=self._steps(kind_of(name)),
        )

    def _of_part(self, part: int) -> tuple[Pictures, Pictures]:
        """What a part learns from, and what it is measured on."""
        classes = self._scene.subsets[part]
        return self._scene.train.of_classes(classes), self._scene.test.of_classes(classes)

    def _save(
        self,
        path: Path,
        model: nn.Module,
        measured: tuple[Architecture, Pictures],
        classes: tuple[int, ...],
        teacher: str,
    ) -> None:
        scene, (architecture, pictures) = self._scene, measured
        scored = accuracy(model, architecture, pictures, scene.device)
        save_part(
            path, model, PartInfo(architecture, classes, teacher, scene.data, scored, scene.options.seed)
        )

    def _once(
        self, path: Path, name: str, make: Callable[[], None], architecture: Architecture, **more: Any
    ) -> Part:
        found = path.exists()
        if not found:
            make()
            self._scene.steps(f"{name}.checkpoint").unlink(missing_ok=True)
        part = load_part(path)
        claim(path, part, self._scene, self._plan, asdict(architecture) | more, found=found)
        return part


def subtask_of(scene: Scene, student: nn.Module, small: Architecture, teacher: nn.Module) -> Subtask:
    """What a part of `scene` learns from its teacher."""
    options = scene.options
    return Subtask(
        *(student, small, teacher, scene.large),
        losses=options.losses,  # type: ignore[arg-type]
        alphas=options.alphas,
        beta=options.beta,
    )


def fuse_of(scene: Scene, parts: list[nn.Module], teacher: nn.Module, steps: int) -> Fuse:
    """What the ensemble of `parts` learns from the large model over so many steps."""
    options, spec = scene.options, fusion_spec(scene, len(parts))
    ensemble, into_teacher = first_ensemble(parts, spec, scene.large.dim, scene.seed_of("first fusion"))
    return Fuse(
        *(ensemble.to(scene.device), into_teacher.to(scene.device), teacher, scene.large),
        losses=options.ensemble_losses,  # type: ignore[arg-type]
        gamma=options.gamma,
        drop_from=round(steps * (1 - options.drop_share)),
        drop=options.drop,
    )


def fusion_spec(scene: Scene, num_parts: int) -> FusionSpec:
    """What a fusion of so many parts of `scene` is made of."""
    dims = (scene.small.dim,) * num_parts
    return FusionSpec(scene.options.fusion, dims, scene.large.dim, scene.large.num_classes)  # type: ignore[arg-type]


def throwaway(scene: Scene, name: str) -> tuple[nn.Module, Classify | Subtask | Fuse, nn.Module]:
    """A model of fresh weights, what it would learn in the training `name`, and which of it is scored: to see
    how long that takes."""
    large, small = build(scene.large, seed=0).to(scene.device), scene.small
    if name in ("large", "teacher"):
        return large, Classify(large, scene.large), large
    if name == "part":
        student = build(small, seed=0).to(scene.device)
        return student, subtask_of(scene, student, small, large), student
    with torch.random.fork_rng():
        parts = [build(small, seed=part) for part in range(len(scene.subsets))]
    objective = fuse_of(scene, parts, large, 1)
    return nn.ModuleList([objective.ensemble, objective.into_teacher]), objective, objective.ensemble
