"""What commands on pictures of objects share: what is too small, and how large it is drawn."""

from kcorr.cli.errors import CommandError, one_line

_DRAWN = 256  # shorter side below which a drawing is enlarged
_LARGEST_SCALE = 8


def refuse_too_small(sizes, predictor):
    """Raises `CommandError` for pictures that a network cannot see.

    Args:
        sizes: {path: (height, width)}.
        predictor: a `kcorr.models.ObjectPredictor`.
    """
    from kcorr.models.object_predict import seen_size

    for path, size in sizes.items():
        try:
            seen_size(str(path), (*size, 3), predictor.size)
        except ValueError as error:
            raise CommandError(
                one_line(error).replace("a size to scale it to", "--size to scale it")
            ) from error


def drawing_scale(*sizes):
    """The whole factor at which dots on pictures of these (height, width) can be told apart."""
    shorter = min(side for size in sizes for side in size[:2])
    return min(max(1, -(-_DRAWN // shorter)), _LARGEST_SCALE)
