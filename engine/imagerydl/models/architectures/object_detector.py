"""What training and inference ask of a detector, whatever library its parts are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from torch import Tensor, nn

#: Score from which on a box counts, unless a model is opened with another threshold.
THRESHOLD = 0.5

#: Overlap (IoU) from which on the weaker of two boxes of a class goes.
NMS_OVERLAP = 0.5

#: Boxes a tile may hold. torchvision keeps 100, which a car park exceeds.
MOST_BOXES = 500


class ObjectDetector(nn.Module):
    """A network that finds objects; its classes count from 0. Subclass it.

    Attributes:
        learning_rate: Peak it is best trained with from random weights; None where any will do.
        encoder_rate: Learning rate of the encoder as a share of that of the rest.
        trained_encoder_rate: The same for an encoder that starts with weights of its own.
    """

    learning_rate: Optional[float] = None
    encoder_rate: float = 1.0
    trained_encoder_rate: float = 1.0

    @property
    def tile_size(self) -> Optional[tuple[int, int]]:
        """(height, width) of the images it was made for and takes at most; None where it takes any."""
        return None

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        raise NotImplementedError

    @property
    def dense_part(self) -> nn.Module:
        """What runs over the whole image: nearly all of what an image costs."""
        raise NotImplementedError

    def set_limits(self, threshold: float = THRESHOLD, nms_overlap: float = NMS_OVERLAP) -> None:
        """Say which boxes count from now on."""
        raise NotImplementedError

    def losses(self, images: Tensor, targets: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The parts of the loss.

        Args:
            images: ``[n, bands, h, w]``, normalised.
            targets: ``boxes`` ``[m, 4]``, ``labels`` ``[m]`` from 0, for masks ``masks`` ``[m, h, w]``.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """What is found in each image: ``boxes``, ``labels`` from 0, ``scores``, some have ``masks``."""
        raise NotImplementedError

    def slow_parameters(self) -> Mapping[nn.Parameter, float]:
        """Parameters that learn at a share of the learning rate, and that share."""
        return {}
