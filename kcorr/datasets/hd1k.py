"""HD1K (Kondermann et al., "The HCI Benchmark Suite", CVPR Workshops 2016)."""

from itertools import pairwise
from pathlib import Path

from kcorr.datasets.source import Source
from kcorr.datasets.trees import absent, missing_tree, same_size
from kcorr.io import read_flow, read_image
from kcorr.schema import FLOW, IMAGE1, IMAGE2, VALID

LAYOUT = """
HD1K/
  hd1k_input/image_2/000000_0000.png  000000_0001.png ...     (<sequence>_<frame>)
  hd1k_flow_gt/flow_occ/000000_0000.png  000000_0001.png ...
"""
ORIGIN = "http://hci-benchmark.iwr.uni-heidelberg.de"
_IMAGES, _FLOWS = "hd1k_input/image_2", "hd1k_flow_gt/flow_occ"


class HD1K(Source):
    """Driving in one street in many weathers, 2560x1080, flow from a laser scan; 36 sequences.

    The last frame of a sequence has a flow, too, but no frame that it leads to.

    Args:
        root: folder that holds `hd1k_input/` and `hd1k_flow_gt/`.

    Records: image1, image2, flow, valid. Names: "000000_0000".

    Raises:
        FileNotFoundError: files are missing; the message shows the expected tree and the source.
    """

    def __init__(self, root):
        self._root = Path(root)
        # Both folders are asked, so that a frame that one of them has lost is missing.
        stems = sorted(
            {
                file.stem
                for folder in (_IMAGES, _FLOWS)
                for file in self._root.glob(f"{folder}/{'[0-9]' * 6}_{'[0-9]' * 4}.png")
            }
        )
        # Where both folders have lost a frame its neighbours do not become a pair.
        self._pairs = [
            (a, b) for a, b in pairwise(stems) if a[:6] == b[:6] and int(b[7:]) == int(a[7:]) + 1
        ]
        self.names = [first for first, _ in self._pairs]
        wanted = [f"{_IMAGES}/{stem}.png" for stem in stems or ["000000_0000"]]
        wanted += [f"{_FLOWS}/{name}.png" for name in self.names]
        gone = absent(root, wanted)
        if gone:
            raise missing_tree(root, gone, LAYOUT, ORIGIN)

    def _read(self, index):
        first, second = (self._root / _IMAGES / f"{stem}.png" for stem in self._pairs[index])
        record = {IMAGE1: read_image(first), IMAGE2: read_image(second)}
        record[FLOW], record[VALID] = read_flow(self._root / _FLOWS / first.name)
        return same_size(first, record)
