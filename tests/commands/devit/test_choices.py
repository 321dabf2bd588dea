from typing import get_args

from commands.devit.choices import Augment, EnsembleLosses, FusionKind, ImportanceBy, Losses
from devit.data import Augmentation
from devit.fusion import FUSIONS
from devit.objectives import EnsembleLosses as LossesOfEnsembles
from devit.objectives import SubtaskLosses
from devit.steps import By


def test_the_command_line_offers_what_the_trainings_know() -> None:
    assert set(Augment) == set(get_args(Augmentation))
    assert set(Losses) == set(get_args(SubtaskLosses))
    assert set(EnsembleLosses) == set(get_args(LossesOfEnsembles))
    assert set(FusionKind) == set(FUSIONS)
    assert set(ImportanceBy) == set(get_args(By))
