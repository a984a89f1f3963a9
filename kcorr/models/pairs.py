"""The flows between several pictures at once, each picture's features computed once."""

import inspect

from keras import ops

from kcorr.models.two_frames import enlarge_to_multiple


def flows_of_pairs(network, images, pairs, training=False):
    """The flows between pairs of pictures, as one batch.

    Where the network has the parts `encode` and `decode(first, second, size)`, as those of
    `kcorr.models` but the recurrent one have, each picture is encoded once however many pairs it is
    in; any other network of two frames is called once with all pairs.

    Args:
        network: of two frames, built.
        images: {i: [b, h, w, 3]} in [0, 1].
        pairs: sequence of (i, j).
        training: handed on to a network that is called.

    Returns:
        flows: {(i, j): [b, h, w, 2] pixels, picture i to picture j}.
        finest: {(i, j): [b, h', w', 2], the last level of its pyramid}; empty for a network without
            a pyramid.

    Raises:
        ValueError: a network of three frames.
    """
    if getattr(network, "frames", 2) != 2:
        raise ValueError(
            f"{network.name!r} sees three frames at once; expected a network of two frames"
        )
    pairs = [tuple(pair) for pair in pairs]
    if _has_parts(network):
        output = _encoded_once(network, images, pairs)
    else:
        first, second = (
            ops.concatenate([images[pair[side]] for pair in pairs], axis=0) for side in (0, 1)
        )
        output = network({"image1": first, "image2": second}, training=training)
    levels = output.get("flow_pyramid")
    return _by_pair(output["flow"], pairs), _by_pair(levels[-1], pairs) if levels else {}


def _has_parts(network):
    if not callable(getattr(network, "encode", None)):
        return False
    decode = getattr(network, "decode", None)
    return callable(decode) and len(inspect.signature(decode).parameters) == 3


def _encoded_once(network, images, pairs):
    names = sorted({name for pair in pairs for name in pair})
    stack = ops.concatenate([images[name] for name in names], axis=0)
    size = ops.shape(stack)[1:3]
    levels = network.encode(enlarge_to_multiple(stack, getattr(network, "divisor", 1)))
    parts = [
        dict(zip(names, ops.split(level, len(names), axis=0), strict=True)) for level in levels
    ]
    first, second = (
        [ops.concatenate([part[pair[side]] for pair in pairs], axis=0) for part in parts]
        for side in (0, 1)
    )
    return network.decode(first, second, size)


def _by_pair(stacked, pairs):
    return dict(zip(pairs, ops.split(stacked, len(pairs), axis=0), strict=True))
