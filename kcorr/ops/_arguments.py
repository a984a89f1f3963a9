"""Shapes of arguments: one check for all ops, whose message names the tensors, and their sizes."""

from keras import ops


def check_shapes(function, **tensors):
    """Raises ValueError unless every tensor has its axes and equal letters have equal sizes.

    `check_shapes("sample_points", image=(image, "b h w c"), points=(points, "b n 2"))`. Sizes that
    are unknown while a graph is traced fit everything.
    """
    sizes, fits = {}, True
    for tensor, axes in tensors.values():
        shape, axes = tuple(tensor.shape), axes.split()
        fits = fits and len(shape) == len(axes)
        for size, axis in zip(shape, axes, strict=False):
            if size is not None:
                expected = int(axis) if axis.isdigit() else sizes.setdefault(axis, size)
                fits = fits and size == expected
    if not fits:
        expected = (f"{name} [{', '.join(axes.split())}]" for name, (_, axes) in tensors.items())
        found = (str(tuple(tensor.shape)) for tensor, _ in tensors.values())
        raise ValueError(f"{function} expects {' and '.join(expected)}, got {' and '.join(found)}")


def sizes(tensor):
    """The shape as a list: integers where they are known, scalar tensors elsewhere."""
    dynamic = ops.shape(tensor)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(tensor.shape)]
