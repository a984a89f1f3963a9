"""Text on pictures, with the font that comes inside pillow: the same on every machine."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Measured once per size; the font file is a part of pillow.
font = functools.lru_cache(maxsize=32)(lambda size: ImageFont.load_default(size=size))


def text_size(text, size):
    """Returns (width, height) in pixels of one line; height is that of any line of this size."""
    ascent, descent = font(size).getmetrics()
    return int(np.ceil(font(size).getlength(text))), ascent + descent


def fit_size(height, width, smallest=10, largest=40):
    """A font size in proportion to a picture of height x width pixels."""
    return int(np.clip(round(min(height, width) / 24), smallest, largest))


def shorten(text, size, width):
    """Cuts text until it fits in width pixels, with an ellipsis where it was cut."""
    if text_size(text, size)[0] <= width:
        return text
    while text and text_size(text + "…", size)[0] > width:
        text = text[:-1]
    return text + "…" if text else ""


def draw_text(picture, x, y, text, size, color=(255, 255, 255)):
    """Draws one line with its top left corner at (x, y), in place; what falls outside is cut."""
    canvas = Image.fromarray(picture)
    ImageDraw.Draw(canvas).text((x, y), text, fill=tuple(color), font=font(size))
    picture[...] = np.asarray(canvas)
