"""Scores pictures against their source by SSIMULACRA2. Runs in the bench environment.

    .venv-bench/bin/python bench/score.py SOURCE PICTURE...

Four squares of 512 pixels, a third in from each corner, represent the whole: for ten megapixels the
metric takes a minute and gigabytes. Prints one mean per picture, as a JSON list.
"""

import io
import json
import sys
from statistics import mean

from PIL import Image, ImageOps
from ssimulacra2 import compute_ssimulacra2

SIDE = 512


def squares(path: str) -> list[io.BytesIO]:
    """Cut out the squares; those of a small picture overlap."""
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    side = min(SIDE, *picture.size)
    cut = []
    for across in (1, 2):
        for down in (1, 2):
            left = (picture.width - side) * across // 3
            top = (picture.height - side) * down // 3
            square = io.BytesIO()
            picture.crop((left, top, left + side, top + side)).save(square, "PNG")
            cut.append(square)
    return cut


def main() -> int:
    """Print the scores."""
    source, *pictures = sys.argv[1:]
    originals = squares(source)
    scores = [
        mean(
            compute_ssimulacra2(original, square)
            for original, square in zip(originals, squares(picture), strict=True)
        )
        for picture in pictures
    ]
    print(json.dumps(scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
