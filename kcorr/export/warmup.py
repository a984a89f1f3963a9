"""Warm-up requests: TF Serving replays them before a version takes traffic.

They are a TFRecord of `tensorflow.serving.PredictionLog` messages. Only six of their fields are
needed, all of them length-delimited, so the few bytes around TensorFlow's own TensorProto are
written here and the tensorflow-serving-api package is not needed.
"""

import tensorflow as tf

# Field numbers of tensorflow_serving/apis/{prediction_log,predict,model}.proto.
_PREDICT_LOG = 6  # PredictionLog.predict_log
_REQUEST = 1  # PredictLog.request
_MODEL_SPEC, _INPUTS = 1, 2  # PredictRequest.model_spec, .inputs (a map: entries of key and value)
_KEY, _VALUE = 1, 2
_NAME, _SIGNATURE_NAME = 1, 3  # ModelSpec.name, .signature_name


def write_warmup_requests(path, name, requests):
    """Writes a warm-up file.

    Args:
        path: of the TFRecord file, `<version>/assets.extra/tf_serving_warmup_requests`.
        name: of the served model.
        requests: list of (signature name, {input name: array}). TF Serving accepts up to 1000.
    """
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            writer.write(prediction_log(name, signature, inputs))


def prediction_log(name, signature, inputs):
    """A serialized `tensorflow.serving.PredictionLog` that asks one question.

    Args:
        name: of the served model.
        signature: name of the signature.
        inputs: {input name: array}.

    Returns:
        bytes.
    """
    spec = _field(_NAME, name.encode()) + _field(_SIGNATURE_NAME, signature.encode())
    request = _field(_MODEL_SPEC, spec)
    for key, array in inputs.items():
        tensor = tf.make_tensor_proto(array).SerializeToString()
        request += _field(_INPUTS, _field(_KEY, key.encode()) + _field(_VALUE, tensor))
    return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _field(number, payload):
    """A length-delimited field of the protocol buffer wire format."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value):
    """Seven bits a byte, lowest first; the high bit says that more follow."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
