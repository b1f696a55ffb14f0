"""Answers of children whose decoder was taken over: written to the channel, or well formed lies."""

import json
import pickle
from dataclasses import asdict

import pytest

from safelight.errors import Reason, Rejection
from safelight.faces import Face
from safelight.imaging import answers
from safelight.imaging.limits import Limits
from safelight.imaging.plan import plan
from safelight.imaging.pool import RenderPool
from safelight.imaging.probe import probe
from safelight.imaging.render import render
from safelight.presets import Preset
from tests.support import jobs, pictures

PRESETS = [Preset(name="full", format="webp"), Preset(name="small", format="auto", box=(9, 9))]


@pytest.fixture
async def pool():
    exits: list[str] = []
    async with RenderPool(slots=1, on_child_exit=exits.append) as pool:
        pool.exits = exits
        yield pool


@pytest.mark.starts
async def test_a_pickle_on_the_channel_runs_nothing_in_the_parent(pool, tmp_path):
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(jobs.Marker(mark)))  # noqa: S301 - to see that it would
    mark.unlink()
    with pytest.raises(Rejection) as caught:
        await pool.run(jobs.answer_with_a_pickle, mark)
    assert caught.value.reason is Reason.DECODER_CRASH
    assert not mark.exists()
    assert pool.exits == ["signal", "signal"]


@pytest.mark.starts
@pytest.mark.parametrize(
    "said",
    [
        b"\n",
        b"{}\n",
        b"\x80\x04.\n",
        b'{"result": NaN}\n',
        b'{"error": "Rejection"}\n',
        b'{"error": ["Rejection", "no such reason", "detail"]}\n',
        b'{"error": ["Rejection", "corrupt"]}\n',
        b'{"error": ["SystemExit", "1"]}\n',
        b'{"error": ["OSError", "2", "text"]}\n',
        b'{"error": ["OSError", 110, "Connection timed out"]}\n',
        b"[" * 100_000 + b"\n",
        b'{"result": ' + b"9" * 5000 + b"}\n",
        b"x" * (answers.MOST_BYTES + 1),
    ],
    ids=range(13),
)
async def test_what_is_no_answer_ends_the_child(pool, said):
    with pytest.raises(Rejection) as caught:
        await pool.run(jobs.answer, said)
    assert caught.value.reason is Reason.DECODER_CRASH
    assert pool.exits == ["signal", "signal"]
    assert await pool.run(jobs.own_pid)


def test_what_an_error_says_can_hurt_no_log():
    text = "\x1b[2J" + "long " * 1000
    with pytest.raises(Rejection) as caught:
        answers.read(json.dumps({"error": ["Rejection", "corrupt", text]}).encode())
    assert "\x1b" not in caught.value.detail
    assert len(caught.value.detail) == 2000


@pytest.fixture
def rendered(file, tmp_path):
    """A plan, and the answer of an honest child."""
    source = file(pictures.encoded(pictures.quarters(), "PNG"))
    made = plan(probe(source, Limits()), PRESETS)
    line = answers.answer_of(render, made, source, tmp_path, Limits())
    return made, answers.read(line)


def lied(answer, **facts):
    """Change what is said of the first variant."""
    first, *others = answer["variants"]
    return answer | {"variants": [first | facts, *others]}


def test_files_media_types_and_fingerprints_come_from_the_plan(rendered, tmp_path):
    made, answer = rendered
    lie = lied(answer, path="/etc/passwd", media_type="text/html", fingerprint="another")
    honest = answers.read_rendering(answer, plan=made, directory=tmp_path)
    assert answers.read_rendering(lie, plan=made, directory=tmp_path) == honest
    full, _ = honest.variants
    assert (full.path, full.media_type) == (tmp_path / "full.webp", "image/webp")
    assert full.fingerprint == PRESETS[0].wish.fingerprint


def test_an_honest_rendering_is_read_as_it_was_made(file, tmp_path):
    source = file(pictures.encoded(pictures.quarters(), "PNG"))
    made = plan(probe(source, Limits()), PRESETS)
    rendering = render(made, source, tmp_path, Limits())
    line = answers.answer_of(lambda: rendering)
    assert answers.read_rendering(answers.read(line), plan=made, directory=tmp_path) == rendering


@pytest.mark.parametrize(
    "facts",
    [
        {"preset": "../../another"},
        {"preset": "small"},
        {"extension": "html"},
        {"extension": "jpg"},
        {"width": 0},
        {"width": "9"},
        {"height": -1},
        {"height": 2**40},
        {"size_bytes": -1},
        {"size_bytes": 10**60},
        {"sha256": "../" * 16},
        {"seconds": float("inf")},
        {"seconds": -1},
        {"seconds": 1.7e308},
        {"score": -(10**60)},
        {"quality": 101},
        {"quality": "<script>"},
        {"score": [1]},
    ],
    ids=str,
)
def test_facts_that_do_not_fit_the_plan_are_no_answer(rendered, tmp_path, facts):
    made, answer = rendered
    with pytest.raises(answers.Nonsense):
        answers.read_rendering(lied(answer, **facts), plan=made, directory=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"variants": []},
        {"failures": {"another": "why"}},
        {"appearance": {"placeholder": "<", "dominant_colour": None, "perceptual_hash": "0" * 16}},
        {"appearance": {"placeholder": "", "dominant_colour": "red", "perceptual_hash": "0" * 16}},
        {"peak_bytes": -1},
        {"peak_bytes": 10**400},
        {"cpu_seconds": -1},
    ],
    ids=str,
)
def test_a_rendering_of_another_plan_is_no_answer(rendered, tmp_path, change):
    made, answer = rendered
    with pytest.raises(answers.Nonsense):
        answers.read_rendering(answer | change, plan=made, directory=tmp_path)


@pytest.mark.parametrize(
    "facts",
    [
        {"format": "exe"},
        {"width": 0},
        {"frames": -1},
        {"width": 2**40},
        {"width": "9"},
        {"orientation": 77},
        {"largest_part": -1},
        {"faces": []},
        {"faces": [{"left": 0.1, "top": 0.1, "width": 0.1, "height": 0.1}]},
    ],
    ids=str,
)
def test_a_probe_of_no_picture_is_no_answer(file, facts):
    known = probe(file(pictures.encoded(pictures.quarters(), "PNG")), Limits())
    assert answers.read_probe(asdict(known)) == known
    with pytest.raises(answers.Nonsense):
        answers.read_probe(asdict(known) | facts)


SEEN = {"left": 0.25, "top": 0.5, "width": 0.25, "height": 0.5}


def test_faces_are_read_as_they_were_found():
    assert answers.read_faces([]) == ()
    assert answers.read_faces([SEEN]) == (Face(**SEEN),)


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        [[0.1, 0.1, 0.1, 0.1]],
        [SEEN | {"left": -0.1}],
        [SEEN | {"width": 1.5}],
        [SEEN | {"top": "0.5"}],
        [SEEN | {"height": float("nan")}],
        [{name: share for name, share in SEEN.items() if name != "top"}],
    ],
)
def test_faces_of_no_picture_are_no_answer(said):
    with pytest.raises(answers.Nonsense):
        answers.read_faces(said)
