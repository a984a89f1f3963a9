"""Every flow a method learns from, with the flow back, stacked along the batch.

Of two frames these are two directions, 1 to 2 and 2 to 1; of five, as SelFlow trains, four: 1 to 2,
2 to 1, 2 to 3 and 3 to 2, for which frames 0 and 4 are the outer neighbours. Any network gives
them: one of three frames in its training mode, one of two frames pair by pair. Of two cameras at
two times, as Flow2Stereo trains, they are all twelve; these take a network of two frames.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import keras
from keras import ops

from kcorr import schema
from kcorr.models.pairs import outputs_of_pairs
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


def mean_share(masks, count):
    """Masks of `count` stacked directions, [n b, h, w, 1] -> [b], the mean over pixels of all."""
    return summed(ops.mean(masks, axis=(1, 2, 3)), count) / count


def flows_between(network, batch, training=False, sequence=False):
    """The flows of all directions of a batch.

    Args:
        network: of two frames, or of three with a training mode of five (`network.frames == 3`).
        batch: images.
        training: handed on to the network.
        sequence: also the flows after each iteration, of a recurrent network.

    Returns:
        flows: {(i, j): [b, h, w, 2]}, image i to image j.
        finest: {(i, j): the last level of its pyramid}, without those that the network has not.
        sequences: {(i, j): list of [b, h, w, 2]}, empty without `sequence`.
    """
    directions = directions_of(batch)
    options = {"training": training, **({"sequence": True} if sequence else {})}
    if directions == PAIR:
        output = network(batch, backward=True, **options)
        names = {(1, 2): schema.FLOW, (2, 1): schema.FLOW_BACKWARD}
    elif directions == STEREO:
        images = {i: batch[key] for i, key in enumerate(schema.IMAGES) if i}
        return outputs_of_pairs(network, images, directions, **options)
    elif getattr(network, "frames", 2) == 3:
        output = network(batch, window=True, **options)
        names = {direction: schema.flow_between(*direction) for direction in directions}
    else:
        return _pair_by_pair(network, batch, training, sequence)
    flows = {direction: output[name] for direction, name in names.items()}
    pyramids = {direction: output.get(f"{name}_pyramid") for direction, name in names.items()}
    finest = {direction: levels[-1] for direction, levels in pyramids.items() if levels}
    if not sequence:
        return flows, finest, {}
    return flows, finest, {way: output[f"{name}_sequence"] for way, name in names.items()}


def _pair_by_pair(network, batch, training, sequence):
    """A network of two frames sees 1, 2 and 2, 3 as one batch of twice the size."""
    image1, image2, image3 = (batch[key] for key in schema.IMAGES[1:4])
    pairs = {
        schema.IMAGE1: ops.concatenate([image1, image2], axis=0),
        schema.IMAGE2: ops.concatenate([image2, image3], axis=0),
    }
    results = []
    for maps in flows_between(network, pairs, training, sequence):
        halves = [{way: _half(value, k) for way, value in maps.items()} for k in (0, 1)]
        results.append({(i + k, j + k): halves[k][i, j] for k in (0, 1) for i, j in maps})
    return tuple(results)


def _half(values, k):
    """The k-th half of the batch of a tensor, or of each of a list."""
    return keras.tree.map_structure(lambda value: ops.split(value, 2, axis=0)[k], values)


@dataclass(frozen=True)
class Directions:
    """A batch and its flows, stacked over n directions.

    Attributes:
        names: the directions, ((1, 2), (2, 1), ...).
        first, second: [n b, h, w, 3], the images each starts from and leads to.
        flow: [n b, h, w, 2].
        hidden: [n b, h, w, 1], 1 = hidden in the second image by the forward-backward check; no
            gradient.
        unusable: [n b, h, w, 1], 1 = there is nothing to compare: noise, or what lies beside a
            picture, in the first image or where the flow leads. That is no matter of occlusion, and
            never counts photometrically. None: every pixel can be compared.
        sequence: list of [n b, h, w, 2], the flow after each iteration, the last one `flow`; just
            `[flow]` of a network that has no iterations or was not asked for them.
        finest: [n b, h', w', 2], the last level of the pyramids; None for a network without.
    """

    names: tuple
    first: Any
    second: Any
    flow: Any
    hidden: Any
    sequence: list
    finest: Any = None
    unusable: Any = None

    @property
    def count(self):
        """n, the number of directions."""
        return len(self.names)

    @property
    def hidden_share(self):
        """[b], the mean share of hidden pixels. Near 1 nothing is left to learn from."""
        return mean_share(self.hidden, self.count)


def all_directions(batch, flows, finest=None, sequences=None, border="zero"):
    """`Directions` of a batch and what `flows_between` made of it.

    Args:
        batch: images.
        flows: {(i, j): [b, h, w, 2]}; for each direction also the one back.
        finest: {(i, j): [b, h', w', 2]} or None.
        sequences: {(i, j): list of [b, h, w, 2]} or None.
        border: of the warp; with "authors" a pixel that leaves the frame is not hidden by that
            alone, as in the authors' code.
    """
    names = tuple(flows)
    flow = stacked(flows, names)
    back = stacked({(i, j): flows[j, i] for i, j in names}, names)
    steps = zip(*(sequences[name] for name in names), strict=True) if sequences else ()
    return Directions(
        names=names,
        first=stacked({(i, j): batch[schema.IMAGES[i]] for i, j in names}, names),
        second=stacked({(i, j): batch[schema.IMAGES[j]] for i, j in names}, names),
        flow=flow,
        hidden=fb_occlusion(flow, back, outside_is_occluded=border != "authors", border=border),
        sequence=[ops.concatenate(step, axis=0) for step in steps] or [flow],
        finest=stacked(finest, names) if finest else None,
    )
