"""`kcorr flow FRAME1 FRAME2`."""

import time
from pathlib import Path

from kcorr.cli.errors import CommandError
from kcorr.cli.folders import check_output_folder, make_output_folder
from kcorr.cli.networks import load_network
from kcorr.cli.pictures import Summary, needs_backward, save
from kcorr.io import read_image


def run_pair(args):
    """Reads two pictures, computes, and writes five files."""
    image1, image2 = read_pair(*args.inputs)
    kinds = [kind for kind in args.save if kind != "video"]
    if not kinds:
        raise CommandError("--save video is for a video or a folder; got two pictures")
    check_output_folder(args.output)
    network = load_network(args.model, args.network)
    from kcorr.models import predict

    start = time.perf_counter()
    result = predict(network, image1, image2, needs_backward(kinds), args.max_side)
    seconds = time.perf_counter() - start
    folder = make_output_folder(args.output)
    save({kind: folder / _name(kind, args.format) for kind in kinds}, image1, result, args.max_flow)
    summary = Summary()
    summary.add(result)
    height, width = image1.shape[:2]
    print(f"{Path(args.output)}: {width}x{height}, {summary.text(seconds)}")


def read_pair(first, second):
    """Two pictures of one size, [h, w, 3] in [0, 1] each."""
    # float32: of 16-bit pictures all bits count.
    image1, image2 = (read_image(path, dtype="float32") for path in (first, second))
    if image1.shape != image2.shape:
        (h1, w1, _), (h2, w2, _) = image1.shape, image2.shape
        raise CommandError(f"{second} is {w2}x{h2}; expected {w1}x{h1} like {first}")
    return image1, image2


def _name(kind, flow_format):
    if kind == "flow":
        # flow.png is the picture of the flow.
        return "flow_kitti.png" if flow_format == "png" else f"flow.{flow_format}"
    return "flow.png" if kind == "color" else f"{kind}.png"
