"""The warm-up requests of an exported version, asked."""

import tensorflow as tf
from _serving_protos import PredictionLog


def asked_and_answered(version, card, served):
    """Asks each warm-up request; its inputs must be as the card describes them.

    Args:
        version: the version's folder.
        card: its model card, a dict.
        served: the loaded SavedModel.

    Yields:
        The signature's name, its description in the card, and the answer.
    """
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        request = PredictionLog.FromString(record).predict_log.request
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        name = request.model_spec.signature_name
        described = card["signatures"][name]
        assert {k: x.dtype.name for k, x in inputs.items()} == {
            k: entry["dtype"] for k, entry in described["inputs"].items()
        }
        answer = served.signatures[name](**{key: tf.constant(x) for key, x in inputs.items()})
        yield name, described, answer
