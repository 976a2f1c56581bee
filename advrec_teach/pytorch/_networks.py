"""The kind of network whose weights have the names of the reference."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from advrec_teach.pytorch import _setup
from advrec_teach.pytorch.tensors import numpy


class Network(nn.Module):
    """A network whose parameters have names, which are those of the reference."""

    def __init__(self, weights: Mapping[str, np.ndarray]):
        super().__init__()
        self.weights = nn.ParameterDict({name: torch.from_numpy(values) for name, values in weights.items()})
        self.to(_setup.device())

    def named_weights(self) -> dict[str, np.ndarray]:
        """Return a copy of all weights, by the names of the reference."""
        return {name: numpy(value).copy() for name, value in self.weights.items()}

    def copy(self) -> Any:
        """Return a network with the same weights in memory of its own."""
        return copy.deepcopy(self)
