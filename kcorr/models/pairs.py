"""The flows between several pictures at once, each picture's features computed once."""

import inspect

from keras import ops

from kcorr.models.two_frames import enlarge_to_multiple


def flows_of_pairs(network, images, pairs, training=False):
    """The flows between pairs of pictures, as one batch.

    Where the network has the parts `encode` and `decode(first, second, size)`, as those of
    `kcorr.models` have, each picture is encoded once however many pairs it is in; any other network
    of two frames is called once with all pairs.

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
    return outputs_of_pairs(network, images, pairs, training)[:2]


def outputs_of_pairs(network, images, pairs, training=False, **options):
    """What `flows_of_pairs` returns, and the flows after each iteration where they were asked for.

    Args:
        network, images, pairs, training: of `flows_of_pairs`.
        **options: handed on to the network (or its `decode`): `sequence=True` of a recurrent one.

    Returns:
        flows, finest: of `flows_of_pairs`.
        sequences: {(i, j): list of [b, h, w, 2]}; empty without `sequence`.
    """
    if getattr(network, "frames", 2) != 2:
        raise ValueError(
            f"{network.name!r} sees three frames at once; expected a network of two frames"
        )
    pairs = [tuple(pair) for pair in pairs]
    if _has_parts(network):
        output = _encoded_once(network, images, pairs, options)
    else:
        first, second = (
            ops.concatenate([images[pair[side]] for pair in pairs], axis=0) for side in (0, 1)
        )
        output = network({"image1": first, "image2": second}, training=training, **options)
    levels = output.get("flow_pyramid")
    finest = _by_pair(levels[-1], pairs) if levels else {}
    steps = [_by_pair(flow, pairs) for flow in output.get("flow_sequence", ())]
    sequences = {pair: [step[pair] for step in steps] for pair in pairs} if steps else {}
    return _by_pair(output["flow"], pairs), finest, sequences


def _has_parts(network):
    if not callable(getattr(network, "encode", None)):
        return False
    decode = getattr(network, "decode", None)
    if not callable(decode):
        return False
    needed = [p for p in inspect.signature(decode).parameters.values() if p.default is p.empty]
    return len(needed) == 3


def _encoded_once(network, images, pairs, options):
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
    return network.decode(first, second, size, **options)


def _by_pair(stacked, pairs):
    return dict(zip(pairs, ops.split(stacked, len(pairs), axis=0), strict=True))
