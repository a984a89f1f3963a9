"""TF Serving's messages, declared from its public .proto files as far as kcorr uses them.

The tests read with these what kcorr writes by hand, so they need no tensorflow-serving-api.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2
from tensorflow.core.framework import tensor_pb2

PACKAGE = "tensorflow.serving"
# Message: {field: (number, type)}; a pair of types is a map.
MESSAGES = {
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, "google.protobuf.Int64Value"),
        "signature_name": (3, "string"),
    },
    "PredictRequest": {
        "model_spec": (1, f"{PACKAGE}.ModelSpec"),
        "inputs": (2, ("string", "tensorflow.TensorProto")),
    },
    "PredictResponse": {
        "outputs": (1, ("string", "tensorflow.TensorProto")),
        "model_spec": (2, f"{PACKAGE}.ModelSpec"),
    },
    "PredictLog": {"request": (1, f"{PACKAGE}.PredictRequest")},
    "PredictionLog": {"predict_log": (6, f"{PACKAGE}.PredictLog")},
}


def _add_field(message, name, number, kind, repeated=False):
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if kind == "string":
        field.type = field.TYPE_STRING
    else:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{kind}"


def _declare():
    file = descriptor_pb2.FileDescriptorProto(
        name="kcorr_tests_serving.proto", package=PACKAGE, syntax="proto3"
    )
    file.dependency.extend([tensor_pb2.DESCRIPTOR.name, wrappers_pb2.DESCRIPTOR.name])
    for message_name, fields in MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, (number, kind) in fields.items():
            if isinstance(kind, tuple):
                entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
                entry.options.map_entry = True
                _add_field(entry, "key", 1, kind[0])
                _add_field(entry, "value", 2, kind[1])
                kind = f"{PACKAGE}.{message_name}.{entry.name}"
                _add_field(message, name, number, kind, repeated=True)
            else:
                _add_field(message, name, number, kind)
    pool = descriptor_pool.Default()
    pool.Add(file)
    return [
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    ]


ModelSpec, PredictRequest, PredictResponse, PredictLog, PredictionLog = _declare()
