"""The pixel keys of preset tables, made at random but consistent."""

from hypothesis import strategies as st

from safelight.formats import WRITABLE


@st.composite
def definitions(draw):
    format = draw(st.sampled_from(WRITABLE))
    table = {"format": format.name}
    for key, scale in (("quality", format.quality), ("effort", format.effort)):
        if scale and draw(st.booleans()):
            table[key] = draw(st.integers(scale.least, scale.most))
    if format.quality and draw(st.booleans()):
        table["quality"] = "auto"
        if draw(st.booleans()):
            table["target"] = draw(st.integers(30, 95))
        if draw(st.booleans()):
            table["quality_range"] = sorted(draw(st.tuples(*[st.integers(1, 100)] * 2)))
    if draw(st.booleans()):
        side = st.integers(1, format.max_side)
        table["box"] = [draw(side), draw(side)]
        table["fit"] = draw(st.sampled_from(["inside", "cover", "contain"]))
    if draw(st.booleans()):
        table["background"] = draw(st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True))
    return table
