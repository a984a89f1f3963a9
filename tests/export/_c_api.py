"""Runs a SavedModel through TensorFlow's C API: no Python of TensorFlow, Keras or kcorr.

The loader and the session are those that TF Serving uses. Called in a process of its own:
    python _c_api.py SAVED_MODEL REQUESTS.npz ANSWERS.npz
Arrays in the requests are called `case|signature|input`, in the answers `case|signature|output`.
"""

import ctypes
import importlib.util
import sys
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np

DTYPES = {1: np.float32, 4: np.uint8}  # TF_FLOAT, TF_UINT8
CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}


class Output(ctypes.Structure):
    _fields_ = [("operation", c_void_p), ("index", c_int)]


class Buffer(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("length", c_size_t), ("free", c_void_p)]


def library():
    """The C API from the wheel; find_spec looks the package up without importing it."""
    folder = Path(importlib.util.find_spec("tensorflow").submodule_search_locations[0])
    ctypes.CDLL(str(folder / "libtensorflow_framework.so.2"), ctypes.RTLD_GLOBAL)
    tf = ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"))
    for name, result, arguments in (
        ("TF_NewStatus", c_void_p, []),
        ("TF_GetCode", c_int, [c_void_p]),
        ("TF_Message", c_char_p, [c_void_p]),
        ("TF_NewGraph", c_void_p, []),
        ("TF_NewSessionOptions", c_void_p, []),
        ("TF_NewBuffer", POINTER(Buffer), []),
        (
            "TF_LoadSessionFromSavedModel",
            c_void_p,
            [c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, c_void_p, c_void_p],
        ),
        ("TF_GraphOperationByName", c_void_p, [c_void_p, c_char_p]),
        ("TF_AllocateTensor", c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
        ("TF_TensorData", c_void_p, [c_void_p]),
        ("TF_TensorType", c_int, [c_void_p]),
        ("TF_NumDims", c_int, [c_void_p]),
        ("TF_Dim", c_int64, [c_void_p, c_int]),
        ("TF_TensorByteSize", c_size_t, [c_void_p]),
        ("TF_DeleteTensor", None, [c_void_p]),
        (
            "TF_SessionRun",
            None,
            [
                c_void_p,
                c_void_p,
                POINTER(Output),
                POINTER(c_void_p),
                c_int,
                POINTER(Output),
                POINTER(c_void_p),
                c_int,
                c_void_p,
                c_int,
                c_void_p,
                c_void_p,
            ],
        ),
    ):
        function = getattr(tf, name)
        function.restype, function.argtypes = result, arguments
    return tf


def fields(message):
    """(number, value) of a protocol buffer message: bytes, or the integer of a varint."""
    position = 0

    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(message):
        key = varint()
        kind = key & 7
        length = {0: 0, 1: 8, 5: 4}.get(kind)
        value = varint() if kind in (0, 2) else None
        if kind == 2:
            length = value
        if kind != 0:
            value = message[position : position + length]
            position += length
        yield key >> 3, value


def map_entries(message, number):
    """A map field as a dict: its entries have the key as field 1 and the value as field 2."""
    entries = [dict(fields(value)) for field, value in fields(message) if field == number]
    return {entry[1].decode(): entry.get(2, b"") for entry in entries}


class SavedModel:
    """A loaded SavedModel: `model(signature, inputs) -> outputs`, dicts of numpy arrays."""

    def __init__(self, path):
        self.tf = library()
        self.status = self.tf.TF_NewStatus()
        self.graph = self.tf.TF_NewGraph()
        meta = self.tf.TF_NewBuffer()
        tags = (c_char_p * 1)(b"serve")
        options = self.tf.TF_NewSessionOptions()
        self.session = self.tf.TF_LoadSessionFromSavedModel(
            options, None, str(path).encode(), tags, 1, self.graph, meta, self.status
        )
        self.check()
        graph_def = ctypes.string_at(meta.contents.data, meta.contents.length)
        self.signatures = {}
        for name, definition in map_entries(graph_def, 5).items():  # MetaGraphDef.signature_def
            # SignatureDef.inputs and .outputs, TensorInfo.name
            self.signatures[name] = [
                {key: dict(fields(info))[1].decode() for key, info in ends.items()}
                for ends in (map_entries(definition, 1), map_entries(definition, 2))
            ]

    def check(self):
        if self.tf.TF_GetCode(self.status):
            raise RuntimeError(self.tf.TF_Message(self.status).decode())

    def ends(self, names):
        ends = (Output * len(names))()
        for end, name in zip(ends, names, strict=True):
            operation, index = name.split(":")
            end.operation = self.tf.TF_GraphOperationByName(self.graph, operation.encode())
            end.index = int(index)
        return ends

    def tensor(self, array):
        array = np.ascontiguousarray(array)
        shape = (c_int64 * array.ndim)(*array.shape)
        tensor = self.tf.TF_AllocateTensor(CODES[array.dtype], shape, array.ndim, array.nbytes)
        ctypes.memmove(self.tf.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        return tensor

    def array(self, tensor):
        shape = [self.tf.TF_Dim(tensor, axis) for axis in range(self.tf.TF_NumDims(tensor))]
        data = ctypes.string_at(self.tf.TF_TensorData(tensor), self.tf.TF_TensorByteSize(tensor))
        dtype = DTYPES[self.tf.TF_TensorType(tensor)]
        self.tf.TF_DeleteTensor(tensor)
        return np.frombuffer(data, dtype).reshape(shape)

    def __call__(self, signature, inputs):
        names, outputs = self.signatures[signature]
        fed = (c_void_p * len(inputs))(*[self.tensor(inputs[name]) for name in names])
        got = (c_void_p * len(outputs))()
        self.tf.TF_SessionRun(
            self.session, None, self.ends(names.values()), fed, len(names),
            self.ends(outputs.values()), got, len(outputs), None, 0, None, self.status,
        )  # fmt: skip
        self.check()
        for tensor in fed:
            self.tf.TF_DeleteTensor(tensor)
        return {name: self.array(value) for name, value in zip(outputs, got, strict=True)}


def main(path, requests, answers):
    model = SavedModel(path)
    asked, found = {}, {}
    with np.load(requests) as file:
        for key in file.files:
            case, signature, name = key.split("|")
            asked.setdefault((case, signature), {})[name] = file[key]
    for (case, signature), inputs in asked.items():
        for name, value in model(signature, inputs).items():
            found[f"{case}|{signature}|{name}"] = value
    np.savez(answers, **found)
    loaded = [name for name in ("tensorflow", "keras", "kcorr") if name in sys.modules]
    print("imported:", *loaded)


if __name__ == "__main__":
    main(*sys.argv[1:])
