"""From what was found without labels to what people annotate: closed-form fits, in numpy."""

import numpy as np


class LandmarkRegression:
    """Linear map from unsupervised landmarks to annotated points.

    `points = W landmarks`, both stacked to vectors. Without an intercept the origin of the
    coordinates matters: `centre` is what counts as (0, 0).

    Args:
        alpha: of the ridge, times |W|^2; 0 solves the plain least squares problem, and takes the
            smallest W if there are fewer pictures than coordinates.
        intercept: adds a constant.
        centre: (x, y) in pixels that is taken off landmarks and points.

    Attributes:
        weights: [2 k (+ 1), 2 p] after `fit`.

    Source: Thewlis et al., ICCV 2017 (y = W x without a bias); the closed form with alpha 0 is
    IMM's (Jakab et al., NeurIPS 2018, released code).
    """

    def __init__(self, alpha=0.0, intercept=False, centre=(0.0, 0.0)):
        if not alpha >= 0:
            raise ValueError(f"alpha must be at least 0, got {alpha}")
        self.alpha, self.intercept = alpha, intercept
        self.centre = np.asarray(centre, "float64")
        self.weights = None

    def fit(self, landmarks, points, visible=None):
        """Fits W.

        Args:
            landmarks: [b, k, 2] pixels.
            points: [b, p, 2] pixels.
            visible: [b, p, 1], > 0.5 = the point is known in that picture.

        Returns:
            self.

        Raises:
            ValueError: shapes that do not fit, values that are not finite, or a point that is
                never known.
        """
        inputs, points = self._inputs(landmarks), np.asarray(points, "float64")
        if points.ndim != 3 or points.shape[-1] != 2 or len(points) != len(inputs):
            raise ValueError(
                f"points must be [{len(inputs)}, p, 2] as the landmarks, got {points.shape}"
            )
        known = np.ones(points.shape[:2], bool)
        if visible is not None:
            known = np.asarray(visible)[..., 0] > 0.5
        never = np.flatnonzero(~known.any(axis=0))
        if len(never):
            raise ValueError(f"point {never[0]} is known in no picture, so it cannot be learned")
        if not np.isfinite(points[known]).all():
            raise ValueError("points that are known must be finite")
        targets = points - self.centre
        if known.all():
            self.weights = self._solve(inputs, targets.reshape(len(inputs), -1))
            return self
        columns = [self._solve(inputs[use], targets[use, k]) for k, use in enumerate(known.T)]
        self.weights = np.concatenate(columns, axis=1)
        return self

    def predict(self, landmarks):
        """Points [b, p, 2] in pixels of landmarks [b, k, 2]; RuntimeError before `fit`."""
        if self.weights is None:
            raise RuntimeError("LandmarkRegression.predict comes after fit")
        inputs = self._inputs(landmarks)
        if inputs.shape[1] != len(self.weights):
            raise ValueError(
                f"fitted with {len(self.weights)} numbers a picture, got {inputs.shape[1]}"
            )
        return (inputs @ self.weights).reshape(len(inputs), -1, 2) + self.centre

    def _inputs(self, landmarks):
        landmarks = np.asarray(landmarks, "float64")
        if landmarks.ndim != 3 or landmarks.shape[-1] != 2 or not np.isfinite(landmarks).all():
            raise ValueError(f"landmarks must be finite and [b, k, 2], got {landmarks.shape}")
        inputs = (landmarks - self.centre).reshape(len(landmarks), -1)
        return np.pad(inputs, ((0, 0), (0, 1)), constant_values=1) if self.intercept else inputs

    def _solve(self, inputs, targets):
        if not self.alpha:
            return np.linalg.lstsq(inputs, targets, rcond=None)[0]
        ridge = self.alpha * np.eye(inputs.shape[1])
        if self.intercept:
            ridge[-1, -1] = 0  # the constant is not shrunk
        return np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)


def few_shot(count, shots, seed=0, length=None):
    """Which pictures a few-shot experiment learns from.

    Args:
        count: pictures there are.
        shots: pictures to take, 1 to `count`; the papers take 1, 5, 10 and 20.
        seed: the papers report mean and deviation of three.
        length: if given, the picked ones are repeated to that many, as in the released code of DVE,
            so that an epoch is as long as with all pictures.

    Returns:
        Indices, int [shots] without repetition, or [length].

    Raises:
        ValueError: `shots` outside 1..count.
    """
    if not 1 <= shots <= count:
        raise ValueError(f"shots must be within 1..{count}, got {shots}")
    picked = np.random.default_rng([seed, shots]).choice(count, shots, replace=False)
    return picked if length is None else np.resize(picked, length)


def fit_point_vectors(labels, cells, visible=None, decay=1e-3, steps=30, batch_size=64):
    """One vector a point, whose inner products with labels are largest where the point is.

    Minimises, for each point, the mean over pictures of `-log softmax_v <z, label_v>` at the
    point's cell, plus `decay |z|^2 / 2`: convex, solved by Newton's method.

    Args:
        labels: [b, h, w, c], frozen. Taken some pictures at a time, so a `numpy.memmap` need not
            fit into memory.
        cells: (rows, columns), each [b, n], of the points: `cell_of`.
        visible: [b, n, 1], > 0.5 = counts.
        decay: keeps vectors finite where points can be told apart without a doubt; our choice.
        steps: most Newton steps.
        batch_size: pictures at a time; the result does not depend on it but for rounding.

    Returns:
        [n, c] float64: for `nearest_points`.

    Raises:
        ValueError: a point that is never visible.

    Source: the "nearest" predictor of Thewlis et al., NeurIPS 2017, which learns by gradient
    descent.
    """
    labels = np.asarray(labels)
    width, channels = labels.shape[2:]
    rows, columns = np.asarray(cells[0]), np.asarray(cells[1])
    counted = np.ones(rows.shape, bool) if visible is None else np.asarray(visible)[..., 0] > 0.5
    vectors = []
    for k in range(rows.shape[1]):
        use = np.flatnonzero(counted[:, k])
        if not len(use):
            raise ValueError(f"point {k} is visible in no picture, so it cannot be learned")
        at = rows[use, k] * width + columns[use, k]

        def batches(use=use, at=at):
            for start in range(0, len(use), batch_size):
                part = slice(start, start + batch_size)
                flat = labels[use[part]].astype("float64")
                yield flat.reshape(len(flat), -1, channels), at[part]

        vectors.append(_newton(batches, np.zeros(channels), decay, steps))
    return np.stack(vectors)


def _newton(batches, vector, decay, steps):
    loss, gradient, second = _log_loss(batches, vector, decay)
    for _ in range(steps):
        step = np.linalg.solve(second, gradient)
        # What a step could still gain is lost in the rounding of the loss.
        if gradient @ step <= 1e-15 * loss:
            break
        # The full step may overshoot far from the minimum: halve it until the loss falls.
        for halvings in range(30):
            new = vector - step / 2**halvings
            found = _log_loss(batches, new, decay)
            if found[0] < loss:
                break
        else:
            break
        vector, (loss, gradient, second) = new, found
    return vector


def _log_loss(batches, vector, decay):
    """The loss, its gradient [c] and second derivatives [c, c], summed batch by batch."""
    count, loss, gradient, second = 0, 0.0, 0.0, 0.0
    for flat, at in batches():
        own = flat[np.arange(len(flat)), at]
        scores = flat @ vector
        peak = scores.max(axis=1, keepdims=True)
        mass = np.exp(scores - peak)
        total = mass.sum(axis=1, keepdims=True)
        share = mass / total
        means = np.einsum("bv,bvc->bc", share, flat)
        count += len(flat)
        loss += (np.log(total[:, 0]) + peak[:, 0] - own @ vector).sum()
        gradient += (means - own).sum(axis=0)
        second += np.tensordot(share[..., None] * flat, flat, ((0, 1), (0, 1))) - means.T @ means
    return (
        loss / count + decay * vector @ vector / 2,
        gradient / count + decay * vector,
        second / count + decay * np.eye(len(vector)),
    )
