"""`kcorr flow [FRAME0] FRAME1 FRAME2`."""

import time
from pathlib import Path

from kcorr.cli.errors import CommandError
from kcorr.cli.folders import check_output_folder, check_outputs, make_output_folder
from kcorr.cli.networks import load_network, recurrent_options
from kcorr.cli.pictures import Summary, needs_backward, save
from kcorr.io import read_image


def run_pair(args):
    """Reads two or three pictures, computes, and writes five files."""
    *before, image1, image2 = read_pair(*args.inputs)
    kinds = [kind for kind in args.save if kind != "video"]
    if not kinds:
        count = "three" if before else "two"
        raise CommandError(f"--save video is for a video or a folder; got {count} pictures")
    check_output_folder(args.output)
    paths = {kind: Path(args.output, _name(kind, args.format)) for kind in kinds}
    check_outputs(paths.values(), args.inputs, "folder")
    network = load_network(args.model, args.network, **recurrent_options(args))
    if before and getattr(network, "frames", 2) != 3:
        raise CommandError(
            f"three pictures, and {args.model} sees two at once; expected two, or a network of "
            "three frames such as SelFlow"
        )
    from kcorr.models import predict

    start = time.perf_counter()
    result = predict(
        network,
        image1,
        image2,
        needs_backward(kinds),
        args.max_side,
        args.protocol,
        image0=before[0] if before else None,
    )
    seconds = time.perf_counter() - start
    make_output_folder(args.output)
    save(paths, image1, result, args.max_flow)
    summary = Summary()
    summary.add(result)
    height, width = image1.shape[:2]
    print(f"{Path(args.output)}: {width}x{height}, {summary.text(seconds)}")


def read_pair(*paths):
    """Two pictures, or more, of one size: [h, w, 3] in [0, 1] each."""
    # float32: of 16-bit pictures all bits count.
    images = [read_image(path, dtype="float32") for path in paths]
    height, width, _ = images[0].shape
    for path, image in zip(paths, images, strict=True):
        if image.shape != images[0].shape:
            h, w, _ = image.shape
            raise CommandError(f"{path} is {w}x{h}; expected {width}x{height} like {paths[0]}")
    return images


def _name(kind, flow_format):
    if kind == "flow":
        # flow.png is the picture of the flow.
        return "flow_kitti.png" if flow_format == "png" else f"flow.{flow_format}"
    return "flow.png" if kind == "color" else f"{kind}.png"
