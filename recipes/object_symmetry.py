"""What `recipes.object_frame` can learn of symmetry and from other pictures, and what not."""

from recipes import common


def check_learnable(symmetry, exchange, pictures, width):
    """Refuses what --symmetry and --exchange cannot learn from.

    Args:
        symmetry, exchange: the flags.
        pictures: number of pictures, or pairs, to learn from.
        width: of what the network sees.
    """
    if symmetry == "bilateral" and width % 2:
        raise common.UserError(
            "--symmetry=bilateral needs views of even width, so that labels mirror onto labels; "
            f"--side and --crop leave {width} pixels"
        )
    if exchange and pictures <= exchange:
        raise common.UserError(
            f"--exchange={exchange} needs at least {exchange + 1} pictures to learn from; there "
            f"{'is' if pictures == 1 else 'are'} {pictures}"
        )


def group_of(symmetry):
    """The matrices [n, 3, 3] of an ambiguous symmetry, or None."""
    import numpy as np

    from kcorr.ops import rotations

    if symmetry in ("none", "bilateral"):
        return None
    if symmetry.startswith("rotation"):
        return rotations(int(symmetry.removeprefix("rotation")))
    try:
        matrices = np.load(symmetry, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise common.UserError(f"--symmetry {symmetry}: cannot be read ({error})") from error
    shape = np.shape(matrices)
    fits = len(shape) == 3 and shape[1:] == (3, 3) and shape[0]
    if not fits or not np.allclose(matrices @ matrices.swapaxes(1, 2), np.eye(3), atol=1e-4):
        raise common.UserError(
            f"--symmetry {symmetry}: expected orthogonal matrices [n, 3, 3], got shape {shape}"
        )
    return matrices
