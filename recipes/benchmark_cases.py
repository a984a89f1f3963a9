"""What `recipes.benchmark` measures: for each section its cases, for each case its forms.

A form is a function without arguments that does the work once. The first form of a case is what
the others are compared with; forms that compute the same thing are checked to do so before they
are timed.
"""

from dataclasses import dataclass, field

import tensorflow as tf

from kcorr import ops


@dataclass
class Case:
    """One row group of the table.

    Attributes:
        title: what is computed, with its sizes.
        forms: {name: function without arguments}.
        targets: {name: how many times faster than the first form it has to be}.
        tolerance: largest difference allowed between the forms' results, relative to the largest
            number; None where they are not meant to be equal.
    """

    title: str
    forms: dict
    targets: dict = field(default_factory=dict)
    tolerance: float | None = None


def graph(function, *inputs, compiled=False):
    """`function(*inputs)` as a form. The inputs are arguments, so that nothing is folded away."""
    traced = tf.function(function, jit_compile=compiled, autograph=False)
    return lambda: traced(*inputs)


def with_gradients(function, upstream=None, watched=None):
    """`function` and its gradients: (output, *gradients), so that neither is pruned.

    The gradients are those of the first `watched` inputs; None is all.
    """

    def both(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs[:watched])
            output = function(*inputs)
        return output, *tape.gradient(output, inputs[:watched], output_gradients=upstream)

    return both


def forward_and_backward(title, forms, inputs, targets, tolerance, compiled=(), watched=None):
    """Two cases: `forms` {name: function} on `inputs`, without and with gradients.

    Args:
        title: of the cases, without "forward".
        forms: {name: function of the inputs}.
        inputs: tensors.
        targets: ({name: ratio} of the forward case, {name: ratio} of the case with gradients).
        tolerance: see `Case`.
        compiled: names of the forms that XLA compiles.
        watched: see `with_gradients`.
    """
    upstream = tf.random.stateless_normal(tf.shape(next(iter(forms.values()))(*inputs)), [3, 3])

    def case(kind, change, target):
        made = {
            name: graph(change(form), *inputs, compiled=name in compiled)
            for name, form in forms.items()
        }
        return Case(f"{title} {kind}", made, target, tolerance)

    yield case("forward", lambda form: form, targets[0])
    yield case(
        "forward + backward", lambda form: with_gradients(form, upstream, watched), targets[1]
    )


# === Cost volume ===


def slices_correlation(first, second, radius=4):
    """The usual cost volume: pad, a slice for each displacement, multiply, sum, stack."""
    height, width = first.shape[1:3]
    second = tf.pad(second, [[0, 0], [radius, radius], [radius, radius], [0, 0]])
    reach = range(2 * radius + 1)
    return tf.stack(
        [
            tf.reduce_sum(first * second[:, dy : dy + height, dx : dx + width], axis=-1)
            for dy in reach
            for dx in reach
        ],
        axis=-1,
    )


def correlation(smoke):
    """Cases of `local_correlation`, radius 4."""
    for size in [(1, 8, 16, 8)] if smoke else [(1, 64, 128, 64), (1, 128, 256, 32)]:
        features = [tf.random.stateless_normal(size, [seed, 0]) for seed in (1, 2)]
        forms = {"81 slices": slices_correlation, "kcorr": ops.local_correlation}
        yield from forward_and_backward(
            f"cost volume {times(size)}", forms, features, ({"kcorr": 3}, {"kcorr": 12}), 1e-5
        )


# === Warp ===


def gather_warp(image, flow):
    """The usual bilinear warp: four gathers of the clipped neighbours, weighted."""
    height, width = image.shape[1:3]
    x, y = tf.meshgrid(tf.range(width, dtype=tf.float32), tf.range(height, dtype=tf.float32))
    x, y = x + flow[..., 0], y + flow[..., 1]
    left, top = tf.floor(x), tf.floor(y)
    result = 0.0
    for row, row_weight in ((top, top + 1 - y), (top + 1, y - top)):
        for column, column_weight in ((left, left + 1 - x), (left + 1, x - left)):
            index = tf.stack(
                [
                    tf.clip_by_value(tf.cast(row, tf.int32), 0, height - 1),
                    tf.clip_by_value(tf.cast(column, tf.int32), 0, width - 1),
                ],
                axis=-1,
            )
            taken = tf.gather_nd(image, index, batch_dims=1)
            result += taken * (row_weight * column_weight)[..., tf.newaxis]
    return result


def flow_inside(size, length=8.0):
    """Random flow [b, h, w, 2], rough as early in training, that never leaves the picture.

    It keeps off the last pixels' centres, too: there the forms' one-sided derivatives differ.
    """
    batch, height, width = size
    grid = ops.pixel_grid(height, width)
    flow = tf.random.stateless_normal([batch, height, width, 2], [4, 0], stddev=length)
    return tf.clip_by_value(grid + flow, 0.1, [width - 1.1, height - 1.1]) - grid


def warp(smoke):
    """Cases of `backward_warp`."""

    def kcorr_warp(image, flow):
        return ops.backward_warp(image, flow)[0]

    size = (1, 32, 48, 3) if smoke else (1, 436, 1024, 3)
    inputs = tf.random.stateless_uniform(size, [5, 0]), flow_inside(size[:3])
    forms = {"4 gathers": gather_warp, "kcorr": kcorr_warp, "kcorr compiled": kcorr_warp}
    targets = {"kcorr compiled": 3}, {}
    yield from forward_and_backward(
        f"backward warp {times(size)}", forms, inputs, targets, 1e-4, ("kcorr compiled",)
    )


# === Census ===


def channels_census(image1, image2):
    """The distance from its definition: two tensors of 49 channels and their difference."""
    difference = ops.census_transform(image1) - ops.census_transform(image2)
    square = difference * difference
    return tf.reduce_sum(square / (0.1 + square), axis=-1, keepdims=True)


def census(smoke):
    """Cases of `census_distance`, 7x7."""
    size = (1, 32, 48, 3) if smoke else (4, 192, 256, 3)
    inputs = [tf.random.stateless_uniform(size, [seed, 0]) for seed in (6, 7)]
    forms = {"49 channels": channels_census, "kcorr": ops.census_distance}
    yield from forward_and_backward(f"census distance {times(size)}", forms, inputs, ({}, {}), 1e-3)


# === Expected distance ===


def all_pairs_distance(first, second, grid):
    """The usual form: correlations and distances of all pairs, softmax, product, sum; power 0.5.

    The distances are roots of roots of sums of two squares. Written as `norm(difference) ** 0.5`
    they would take several times longer, and twice the memory.
    """
    batch, height, width, channels = first.shape
    first, second = (tf.reshape(x, [batch, height * width, channels]) for x in (first, second))
    share = tf.nn.softmax(tf.matmul(first, second, transpose_b=True))
    cells = tf.reshape(2 * ops.pixel_grid(height, width) + 0.5, [height * width, 2])
    # With stride 2 the middle of a cell is the mean of its four pixels.
    places = tf.reshape(tf.nn.avg_pool2d(grid, 2, 2, "VALID"), [batch, height * width, 1, 2])
    across = tf.square(places[..., 0] - cells[:, 0])
    down = tf.square(places[..., 1] - cells[:, 1])
    distance = tf.sqrt(tf.sqrt(across + down))
    return tf.reduce_mean(tf.reduce_sum(share * distance, axis=-1), axis=-1)


DISTANCE_FORMS = {"all pairs": all_pairs_distance, "kcorr": ops.expected_distance}
DISTANCE_MEMORY_TARGET = 10


def distance_inputs(smoke):
    """Features of both views and the grid, stride 2."""
    batch, side, channels = (2, 8, 8) if smoke else (16, 48, 64)
    size = (batch, side, side, channels)
    features = [tf.random.stateless_normal(size, [seed, 0], stddev=0.3) for seed in (9, 10)]
    picture = (batch, 2 * side, 2 * side)
    return [*features, ops.pixel_grid(*picture[1:]) + flow_inside(picture)]


def expected_distance(smoke):
    """Cases of `expected_distance`; what it is for, its memory, is measured in another process."""
    inputs = distance_inputs(smoke)
    yield from forward_and_backward(
        f"expected distance {times(inputs[0].shape)}",
        DISTANCE_FORMS,
        inputs,
        ({"kcorr": 1}, {"kcorr": 1}),
        1e-4,
        watched=2,
    )


# === Networks and training steps ===


def policies(smoke):
    """Dtype policies that are compared; tracing a training step takes long, so one for a smoke."""
    return ("mixed_bfloat16",) if smoke else ("float32", "mixed_bfloat16")


def networks(smoke):
    """Forward passes: a policy is a form."""
    from kcorr.models import build

    for name in (trained(smoke),) if smoke else ("ddflow", "ddflow_small"):
        for size in [(48, 64)] if smoke else [(192, 256), (436, 1024)]:
            images = random_batch(1, size)
            forms = {}
            for policy in policies(smoke):
                network = build(name, dtype=policy)
                forms[policy] = graph(lambda batch, net=network: net(batch)["flow"], images)
            yield Case(f"{name} 1x{times(size)}", forms)


def training(smoke):
    """Adam's update, and one step of each objective, with ddflow_small."""
    batch, size = (2, (48, 64)) if smoke else (4, (192, 256))
    name = trained(smoke)
    yield adam_update(name)
    for method in ("SupervisedFlow", "UnsupervisedFlow", "DistilledFlow")[: 1 if smoke else None]:
        forms = {
            policy: training_step(method, policy, batch, size, name) for policy in policies(smoke)
        }
        yield Case(f"{method} step {batch}x{times(size)}", forms)


def adam_update(name):
    """What an optimizer does in a step, given the gradients of all variables; forms return none."""
    import keras

    from kcorr.models import build
    from kcorr.objectives import FusedAdam

    variables, forms = build(name).trainable_variables, {}
    gradients = [tf.fill(variable.shape, 1e-3) for variable in variables]
    for form, make in (("keras", keras.optimizers.Adam), ("kcorr", FusedAdam)):
        optimizer = make(1e-6)
        optimizer.build(variables)
        forms[form] = graph(lambda *g, made=optimizer: made.apply(g, variables), *gradients)
    return Case(f"Adam's update of {len(variables)} variables", forms)


def trained(smoke):
    """Name of the network whose training is timed; a smoke takes the one of fewest operations."""
    return "spynet_small" if smoke else "ddflow_small"


def training_step(method, policy, batch_size, size, name):
    """A form that does one update of a fresh network, as `fit` does it."""
    from kcorr import objectives
    from kcorr.models import build

    crop = tuple(side * 3 // 4 for side in size)
    arguments = {"network": build(name, dtype=policy)}
    if method == "DistilledFlow":
        arguments |= {"crop": crop, "teacher": build(name, dtype=policy)}
    objective = getattr(objectives, method)(**arguments)
    objective.build()
    objective.compile(objectives.FusedAdam(1e-4, use_ema=True))
    objective.make_train_function()
    batch = random_batch(batch_size, size)
    batch["flow"] = flow_inside((batch_size, *size))
    batch["valid"] = tf.ones([batch_size, *size, 1])
    batch["crop"] = tf.fill([batch_size, 2], 5.0)
    endless = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: objective.train_function(endless)


def random_batch(count, size):
    """Two frames of noise."""
    return {
        key: tf.random.stateless_uniform([count, *size, 3], [seed, 8])
        for seed, key in enumerate(("image1", "image2"))
    }


def times(size):
    """(1, 2, 3) -> "1x2x3"."""
    return "x".join(map(str, size))


SECTIONS = {
    "correlation": correlation,
    "warp": warp,
    "census": census,
    "expected_distance": expected_distance,
    "networks": networks,
    "training": training,
}
