"""One check of shapes for all ops: a message that names the tensors, instead of the backend's."""


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
