"""The options of imgix's URLs that are refused, with all their names."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from api.dialects.rows import Row, refused

REFUSED: Mapping[str, Row[Any]] = MappingProxyType(
    {
        "mark": refused(
            "its watermark is a URL; nothing is fetched by HTTP.",
            "m", "mark-align", "ma", "markalign", "mark-alpha", "markalpha", "malph", "mark-base",
            "mb", "markbase", "mark-fit", "mf", "markfit", "mark-h", "mh", "markh",
            "mark-if-min-height", "mark-if-min-width", "mark-pad", "mp", "markpad", "mark-rot",
            "mark-scale", "ms", "markscale", "mark-tile", "mtile", "marktile", "mark-w", "mw",
            "markw", "mark-x", "mx", "markx", "mark-y", "my", "marky",
        ),
        "txt": refused(
            "drawing text is not supported.",
            "t", "txt-align", "txtalign", "ta", "txt-clip", "txtclip", "tcl", "txt-color",
            "txtcolor", "txt-clr", "txtclr", "tc", "txt-fit", "txtfit", "txt-font", "tf", "txtfont",
            "txt-lead", "txtlead", "txt-line", "txtline", "tl", "txt-line-color", "txtlinecolor",
            "txt-line-clr", "txtlineclr", "txt-pad", "txtpad", "tp", "txt-shad", "txtshad", "tsh",
            "txt-size", "tsz", "txtsize", "txt-track", "txttrack", "tt", "txt-width", "txtwidth",
            "txt-x", "txtx", "txt-y", "txty",
        ),
        "blend": refused(
            "not supported.",
            "b", "blend-align", "blendalign", "ba", "blend-alpha", "blendalpha", "balph",
            "blend-color", "blendcolor", "blend-clr", "blendclr", "blend-crop", "blendcrop", "bc",
            "blend-fit", "blendfit", "bf", "blend-h", "blendh", "bh", "blend-mode", "blendmode",
            "bm", "blend-pad", "blendpad", "bp", "blend-size", "blendsize", "bs", "blend-w",
            "blendw", "bw", "blend-x", "blendx", "bx", "blend-y", "blendy", "by",
        ),
        "border": refused(
            "not supported.",
            "border-bottom", "border-left", "border-radius", "border-radius-inner", "border-right",
            "border-stroke-color", "border-stroke-size", "border-top",
        ),
        "monochrome": refused(
            "not supported.",
            "mono", "sepia", "duotone", "duotone-alpha", "htn", "invert", "inv",
        ),
        "exp": refused("not supported.", "gam", "high", "hue", "shad", "vib", "nr", "nrs"),
        "faceindex": refused(
            "only crop=faces frames faces, all that fit.",
            "facepad", "faces", "face-blur", "face-pixel", "face-pixelate", "lp-blur",
            "license-plate-blur",
        ),
        "bg-remove": refused(
            "the engine changes no contents of pictures.",
            "background-remove", "bg-remove-fallback", "bg-remove-fg-type",
            "bg-remove-semi-transparency", "background-removal-semi-transparency",
            "bg-remove-transparency-threshold", "bg-replace", "background-replace",
            "bg-replace-fallback", "bg-replace-neg-prompt", "background-replace-negative-prompt",
            "fill-gen-fallback", "fill-generative-fallback", "fill-gen-neg-prompt",
            "fill-generative-negative-prompt", "fill-gen-pos", "fill-generative-position",
            "fill-gen-prompt", "fill-generative-prompt", "fill-gen-seed", "fill-generative-seed",
            "object-removal-negative-prompt", "object-removal-prompt", "object-removal-rect",
            "object-removal-seed", "upscale", "upscale-fallback",
        ),
        "fill-gradient-type": refused(
            "fill must be solid.",
            "fill-gradient-cs", "fill-gradient-linear", "fill-gradient-linear-direction",
            "fill-gradient-radial", "fill-gradient-radial-radius", "fill-gradient-radial-x",
            "fill-gradient-radial-y",
        ),
        "fp-z": refused("not supported.", "fp-debug"),
        "max-w": refused(
            "the size depends on the source; use w and h.",
            "max-width", "max-h", "max-height", "min-w", "min-width", "min-h", "min-height",
        ),
        "trim-md": refused(
            "not supported.",
            "trimmd", "trim-sd", "trimsd", "trim-pad", "trimpad", "trim-alpha",
        ),
        "mask-bg": refused("not supported; use bg.", "maskbg"),
        "page": refused(
            "only the first page or frame is read.",
            "pdf-annotation", "annotation", "frame", "fps", "interval", "loop", "reverse", "skip",
        ),
        "video-codec": refused(
            "pictures only.",
            "video-bitrate", "video-clip-start", "video-clip-end", "video-thumbnail",
        ),
        "palette": refused(
            "use `placeholder` of the image's record.", "colors", "prefix",
        ),
        "jpg-progressive": refused(
            "the encoder's settings are fixed.",
            "jpeg-progressive", "chromasub", "colorquant", "dpi", "iptc",
        ),
        "ch": refused("client hints are for presets only."),
        "svg-sanitize": refused("a setting decides how SVG is read.", "rasterize-bypass"),
        "transparency": refused("not supported.", "grid-colors", "grid-size"),
    }
)  # fmt: skip
"""Option -> its row."""
