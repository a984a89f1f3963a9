"""Every flow a method learns from, with the flow back, stacked along the batch.

Of two frames these are two directions, 1 to 2 and 2 to 1; of five, as SelFlow trains, four: 1 to 2,
2 to 1, 2 to 3 and 3 to 2, for which frames 0 and 4 are the outer neighbours. Any network gives
them: one of three frames in its training mode, one of two frames pair by pair. Of two cameras at
two times, as Flow2Stereo trains, they are all twelve; these take a network of two frames.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Any

from keras import ops

from kcorr import schema
from kcorr.models.pairs import flows_of_pairs
from kcorr.ops import fb_occlusion

PAIR = ((1, 2), (2, 1))
WINDOW = ((1, 2), (2, 1), (2, 3), (3, 2))
STEREO = tuple(permutations((1, 2, 3, 4), 2))


def directions_of(batch):
    """`WINDOW` for a batch of image0 to image4, `STEREO` without image0, else `PAIR`."""
    if all(key in batch for key in schema.IMAGES):
        return WINDOW
    four = all(key in batch for key in schema.IMAGES[1:]) and schema.IMAGE0 not in batch
    return STEREO if four else PAIR


def stacked(maps, directions):
    """{direction: [b, ...]} -> [n b, ...], one direction after the other."""
    return ops.concatenate([maps[direction] for direction in directions], axis=0)


def summed(values, count=2):
    """Per-example values of `count` stacked directions, [n b] -> [b], their sum."""
    return sum(ops.split(values, count, axis=0))


def flows_between(network, batch, training=False):
    """The flows of all directions of a batch.

    Args:
        network: of two frames, or of three with a training mode of five (`network.frames == 3`).
        batch: images.
        training: handed on to the network.

    Returns:
        flows: {(i, j): [b, h, w, 2]}, image i to image j.
        finest: {(i, j): the last level of its pyramid}, without those that the network has not.
    """
    directions = directions_of(batch)
    if directions == PAIR:
        output = network(batch, training=training, backward=True)
        names = {(1, 2): schema.FLOW, (2, 1): schema.FLOW_BACKWARD}
    elif directions == STEREO:
        images = {i: batch[key] for i, key in enumerate(schema.IMAGES) if i}
        return flows_of_pairs(network, images, directions, training)
    elif getattr(network, "frames", 2) == 3:
        output = network(batch, training=training, window=True)
        names = {direction: schema.flow_between(*direction) for direction in directions}
    else:
        return _pair_by_pair(network, batch, training)
    flows = {direction: output[name] for direction, name in names.items()}
    pyramids = {direction: output.get(f"{name}_pyramid") for direction, name in names.items()}
    return flows, {direction: levels[-1] for direction, levels in pyramids.items() if levels}


def _pair_by_pair(network, batch, training):
    """A network of two frames sees 1, 2 and 2, 3 as one batch of twice the size."""
    image1, image2, image3 = (batch[key] for key in schema.IMAGES[1:4])
    pairs = {
        schema.IMAGE1: ops.concatenate([image1, image2], axis=0),
        schema.IMAGE2: ops.concatenate([image2, image3], axis=0),
    }
    results = []
    for maps in flows_between(network, pairs, training):
        first = {direction: ops.split(maps[direction], 2, axis=0) for direction in maps}
        results.append(
            {(i + k, j + k): halves[k] for k in (0, 1) for (i, j), halves in first.items()}
        )
    return tuple(results)


@dataclass(frozen=True)
class Directions:
    """A batch and its flows, stacked over n directions.

    Attributes:
        names: the directions, ((1, 2), (2, 1), ...).
        first, second: [n b, h, w, 3], the images each starts from and leads to.
        flow: [n b, h, w, 2].
        hidden: [n b, h, w, 1], 1 = hidden in the second image by the forward-backward check; no
            gradient.
        finest: [n b, h', w', 2], the last level of the pyramids; None for a network without.
    """

    names: tuple
    first: Any
    second: Any
    flow: Any
    hidden: Any
    finest: Any = None

    @property
    def count(self):
        """n, the number of directions."""
        return len(self.names)


def all_directions(batch, flows, finest=None, border="zero"):
    """`Directions` of a batch and what `flows_between` made of it.

    Args:
        batch: images.
        flows: {(i, j): [b, h, w, 2]}; for each direction also the one back.
        finest: {(i, j): [b, h', w', 2]} or None.
        border: of the warp; with "authors" a pixel that leaves the frame is not hidden by that
            alone, as in the authors' code.
    """
    names = tuple(flows)
    flow = stacked(flows, names)
    back = stacked({(i, j): flows[j, i] for i, j in names}, names)
    return Directions(
        names=names,
        first=stacked({(i, j): batch[schema.IMAGES[i]] for i, j in names}, names),
        second=stacked({(i, j): batch[schema.IMAGES[j]] for i, j in names}, names),
        flow=flow,
        hidden=fb_occlusion(flow, back, outside_is_occluded=border != "authors", border=border),
        finest=stacked(finest, names) if finest else None,
    )
