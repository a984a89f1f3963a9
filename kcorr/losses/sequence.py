"""Losses of a network that improves its answer step by step: each counts, the last the most."""

from kcorr.losses.supervised import endpoint_error


def sequence_mean(losses, gamma=0.8):
    """Mean of the losses of n iterations, of which iteration i weighs `gamma ** (n - i - 1)`.

        sum_i(gamma ** (n - i - 1) * loss_i) / sum_i(gamma ** (n - i - 1))

    (RAFT does not divide; divided, the result is comparable with a single loss whatever n is.) For
    a method of one's own: `sequence_mean([census(image1, pull(flow), mask) for flow in
    output["flow_sequence"]])`.

    Args:
        losses: what the iterations made, the first first: n tensors of one shape, usually [b].
        gamma: in (0, 1]; 1 weighs all alike.

    Returns:
        The shape of one loss.

    Raises:
        ValueError: there are no losses, or `gamma` is out of its range.

    Source: Teed and Deng, RAFT, ECCV 2020, eq. 7 (gamma 0.8); Stone et al., SMURF, CVPR 2021
    (the same for photometric losses).
    """
    losses = list(losses)
    if not losses:
        raise ValueError("losses is empty: expected at least one iteration")
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma must be above 0 and at most 1, got {gamma}")
    weights = [gamma**age for age in range(len(losses))][::-1]
    total = sum(weight * loss for weight, loss in zip(weights, losses, strict=True))
    return total / sum(weights)


def sequence_endpoint_error(
    flow_sequence, target, valid=None, gamma=0.8, epsilon=0.0, exponent=1.0
):
    """`sequence_mean` of the endpoint errors of the flows of all iterations.

    Args:
        flow_sequence: sequence of [b, h, w, 2] pixels at the target's size, the first iteration
            first.
        target: [b, h, w, 2] pixels; it receives no gradient.
        valid: [b, h, w, 1], 1 = the target is known; None counts everything.
        gamma: of `sequence_mean`.
        epsilon, exponent: of the robust form, see `endpoint_error`. (RAFT takes the L1 norm of the
            error vector and leaves out targets above 400 px.)

    Returns:
        [b] pixels (if not made robust), 0 where nothing is valid.

    Raises:
        ValueError: shapes do not fit, the sequence is empty, or an argument is out of its range.

    Source: Teed and Deng, RAFT, ECCV 2020, eq. 7.
    """
    return sequence_mean(
        [endpoint_error(flow, target, valid, epsilon, exponent) for flow in flow_sequence], gamma
    )
