"""What frozen teachers say of a batch: their flow, and where it may be trusted."""

from keras import ops

from kcorr import schema
from kcorr.objectives.directions import PAIR, all_directions, flows_between, stacked
from kcorr.ops import fuse_flows

_GIVEN = {
    schema.TEACHER_FLOW: schema.TEACHER_FLOW_BACKWARD,
    schema.TEACHER_OCCLUSION: schema.TEACHER_OCCLUSION_BACKWARD,
}


class Teachers:
    """Frozen networks whose fused flow a student learns from.

    A plain object, which Keras does not look into: teachers are neither trained nor saved with the
    student's objective.

    Args:
        networks: networks of any kinds, frozen here; none if the batches hold a teacher's results
            (`teacher_flow`, `teacher_flow_backward`, `teacher_occlusion` and
            `teacher_occlusion_backward`).
        border: of the warp in the forward-backward check.
        agreement: pixels; of several teachers only pixels count where the ends of any two flows lie
            closer together. None: all count.

    Raises:
        ValueError: an `agreement` that is not positive, or of fewer than two teachers.
    """

    def __init__(self, networks=(), border="zero", agreement=None):
        self.networks, self.border, self.agreement = list(networks), border, agreement
        if agreement is not None and (len(self.networks) < 2 or not agreement > 0):
            raise ValueError(
                f"agreement is a distance above 0 between two or more teachers, got {agreement!r} "
                f"and {len(self.networks)} teachers"
            )
        for network in self.networks:
            network.trainable = False

    def build(self):
        """Creates the weights of networks that have none yet."""
        for network in self.networks:
            if not network.built:
                network.build()

    def __call__(self, batch):
        """{direction: [b, h, w, 2]} and {direction: [b, h, w, 1]}, 1 = hidden or in doubt.

        The flows of each direction are fused, and what is hidden is found afresh from the fused
        ones. No gradient.

        Raises:
            ValueError: no networks, and the batch lacks a teacher's results.
        """
        if not self.networks:
            return self._given(batch)
        said = [flows_between(network, batch)[0] for network in self.networks]
        fused = {
            direction: fuse_flows([flows[direction] for flows in said], self.agreement)
            for direction in said[0]
        }
        flows = {direction: ops.stop_gradient(flow) for direction, (flow, _) in fused.items()}
        hidden = all_directions(batch, flows, border=self.border).hidden
        agree = stacked({direction: known for direction, (_, known) in fused.items()}, fused)
        doubtful = ops.split(ops.maximum(hidden, 1.0 - agree), len(fused), axis=0)
        return flows, dict(zip(fused, doubtful, strict=True))

    def _given(self, batch):
        missing = [key for pair in _GIVEN.items() for key in pair if key not in batch]
        if missing:
            raise ValueError(f"without a teacher the batch must hold {', '.join(missing)}")
        return tuple(
            dict(zip(PAIR, (batch[there], batch[back]), strict=True))
            for there, back in _GIVEN.items()
        )
