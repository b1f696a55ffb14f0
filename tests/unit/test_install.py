"""Locks are complete, and installing asks an index for nothing else: a clone installs in a year."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
MAKEFILE = (ROOT / "Makefile").read_text()
LOCKS = sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))
BELOW = {
    "otel": ("runtime",),
    "faces": ("runtime",),
    "quality": ("dev",),
    "fuzz": ("dev",),
    "image": ("dev",),
}
"""Locks that are installed on top of others, which hold a part of what they need."""
ENVIRONMENTS = dict.fromkeys(("build", "runtime", "otel", "faces", "dev"), ".venv") | {
    "emulator": ".venv-emulator"
}
"""Where `make test` has a lock installed; `make install-test` tries the others."""
EXEMPT = (
    # Safelight itself, whose dependencies are in the environment already.
    r"--no-deps --no-build-isolation (?:--editable \.|--wheel-dir /wheels \.)$",
    # The image's wheels, which were built from the lock in the step before.
    r"--no-deps --no-index /wheels/\*\.whl$",
)


def held_by(*locks: str) -> dict[NormalizedName, Version]:
    """Read locks: the version of each name that this Python gets."""
    held = {}
    for lock in locks:
        for line in requirements(REQUIREMENTS / f"{lock}.txt"):
            pin = Requirement(line.partition(" --hash")[0])
            if pin.marker is None or pin.marker.evaluate():
                held[canonicalize_name(pin.name)] = Version(str(pin.specifier).removeprefix("=="))
    return held


def requirements(path: Path) -> list[str]:
    """Read a file of requirements: one string each, without comments."""
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [re.sub(r"\s+", " ", line) for line in lines if line]


def wanted(lock: str) -> Iterator[Requirement]:
    """Read what a lock was made for."""
    for line in requirements(REQUIREMENTS / f"{lock}.in"):
        if line.startswith("-r "):
            yield from wanted(line.removeprefix("-r ").removesuffix(".in"))
        else:
            yield Requirement(line)


def installed(environment: str) -> Mapping[NormalizedName, Distribution]:
    folders = map(str, (ROOT / environment).glob("lib/python*/site-packages"))
    return {canonicalize_name(one.name): one for one in distributions(path=list(folders))}


def commands(text: str) -> Iterator[str]:
    """Find the commands by which pip installs or builds anything."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in re.split(r"\n|&&|;;", joined):
        if re.search(r"\bpip3?( --?\S+( [^\s-]\S*)?)* (install|wheel|download)\b", line):
            yield re.sub(r"\s+", " ", line.strip())


FILES = [
    *(ROOT / name for name in ("Makefile", "Dockerfile", "docker-compose.yml")),
    *(path for path in (ROOT / ".ci").rglob("*") if path.is_file()),
    *(path for name in ("requirements", "deploy") for path in (ROOT / name).rglob("*.sh")),
]
INSTALLS = [(path, command) for path in FILES for command in commands(path.read_text())]


@pytest.mark.parametrize(
    ("path", "command"), INSTALLS, ids=[f"{path.name}: {command}" for path, command in INSTALLS]
)
def test_pip_installs_only_what_a_lock_holds_and_resolves_nothing(path: Path, command: str) -> None:
    if any(re.search(form, command) for form in EXEMPT):
        return
    assert "--no-deps" in command, path
    assert "--require-hashes" in command, path
    assert "--no-build-isolation" in command, path


def test_the_installing_commands_are_found() -> None:
    found = {path.name for path, _ in INSTALLS}
    assert found == {"install.sh", "Dockerfile"}


@pytest.mark.parametrize("name", ["requirements/install.sh", "Dockerfile"])
def test_an_install_ends_with_pip_check(name: str) -> None:
    text = (ROOT / name).read_text()
    _, _, after = text.rpartition("pip install" if name.endswith(".sh") else "--no-index")
    assert re.search(r"(?:^|&& )(?:pip|\S+/pip --python \S+) check", after, re.MULTILINE)


def test_an_environment_starts_with_the_locked_pip() -> None:
    assert "\nPIP_LOCK ?= pip\n" in MAKEFILE
    texts = "\n".join(path.read_text() for path in FILES)
    first = re.findall(r"(?:/install\.sh|\$\(INSTALL\)) --new \S+ (\S+)", texts)
    assert set(first) == {"pip", "$(PIP_LOCK)"}
    assert not re.search(r"-m venv (?!--without-pip|\"\$environment\")", texts)


def test_each_requirements_file_has_its_lock() -> None:
    assert sorted(path.stem for path in REQUIREMENTS.glob("*.in")) == LOCKS
    script = (REQUIREMENTS / "lock.sh").read_text()
    assert set(re.findall(r"(\S+)\.in -o \1\.txt", script)) == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_each_line_of_a_lock_is_one_version_with_its_hashes(lock: str) -> None:
    for line in requirements(REQUIREMENTS / f"{lock}.txt"):
        assert re.fullmatch(
            r"[A-Za-z0-9._-]+==[^ *;]+( ; [^#]+?)?( --hash=sha256:[0-9a-f]{64})+", line
        ), line


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_it_was_made_for(lock: str) -> None:
    held = held_by(lock, *BELOW.get(lock, ()))
    for asked in wanted(lock):
        if asked.marker is None or asked.marker.evaluate():
            assert held[canonicalize_name(asked.name)] in asked.specifier, asked


@pytest.mark.parametrize("lock", ENVIRONMENTS)
def test_a_lock_is_complete(lock: str) -> None:
    """By what the installed packages say they need; pip would have to resolve what is missing."""
    held = held_by(lock, *BELOW.get(lock, ()))
    there = installed(ENVIRONMENTS[lock])
    waiting = [(canonicalize_name(asked.name), frozenset(asked.extras)) for asked in wanted(lock)]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        for text in there[name].requires or ():
            needed = Requirement(text)
            markers = [{"extra": extra} for extra in ("", *extras)]
            if needed.marker and not any(needed.marker.evaluate(one) for one in markers):
                continue
            version = held.get(canonicalize_name(needed.name))
            assert version, f"{name} needs {needed}, which {lock}.txt does not hold"
            assert needed.specifier.contains(version, prereleases=True), f"{name} needs {needed}"
            one = (canonicalize_name(needed.name), frozenset(needed.extras))
            if one not in seen:
                seen.add(one)
                waiting.append(one)


@pytest.mark.parametrize(
    "locks",
    [("build", "dev"), *((lock, *below) for lock, below in BELOW.items())],
    ids=" on ".join,
)
def test_locks_of_one_environment_agree(locks: tuple[str, ...]) -> None:
    versions = [held_by(lock) for lock in locks]
    for name in set.intersection(*(set(one) for one in versions)):
        assert len({one[name] for one in versions}) == 1, name


def test_make_clean_removes_every_environment() -> None:
    made = set(re.findall(r"(?<![\w/])\.venv(?:-[a-z]+)?(?=/)", MAKEFILE))
    listed = re.findall(r"^ENVIRONMENTS := (.+)$", MAKEFILE, re.MULTILINE)[0].split()
    assert made == set(listed)
    assert re.search(
        r"^clean:.*\n\trm -rf \$\(ENVIRONMENTS\) \$\(ENVIRONMENTS:=\.lock\) ",
        MAKEFILE,
        re.MULTILINE,
    )


@pytest.mark.starts
def test_a_second_install_stops_and_leaves_the_first_ones_environment(tmp_path: Path) -> None:
    first = start_install(tmp_path, 'mkdir -p "$3" && touch "$3/begun" && exec sleep 60')
    wait_for(tmp_path / "environment" / "begun")
    second = start_install(tmp_path, "exit 0")
    _, said = second.communicate(timeout=30)
    assert second.returncode == 1
    assert "Another install into environment is running" in said
    assert "remove environment.lock" in said
    assert (tmp_path / "environment" / "begun").exists()
    assert (tmp_path / "environment.lock").exists()
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=30)


@pytest.mark.starts
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_an_install_that_is_stopped_leaves_no_lock(tmp_path: Path, number: signal.Signals) -> None:
    install = start_install(tmp_path, 'mkdir -p "$3" && touch "$3/begun" && exec sleep 60')
    wait_for(tmp_path / "environment" / "begun")
    os.killpg(install.pid, number)
    install.communicate(timeout=30)
    assert install.returncode != 0
    assert not (tmp_path / "environment.lock").exists()


def test_make_runs_one_install_at_a_time() -> None:
    assert re.search(r"^\.NOTPARALLEL:$", MAKEFILE, re.MULTILINE)


@pytest.mark.starts
def test_an_install_that_fails_leaves_no_lock(tmp_path: Path) -> None:
    install = start_install(tmp_path, "echo no venv here >&2; exit 3")
    _, said = install.communicate(timeout=30)
    assert install.returncode == 3
    assert "no venv here" in said
    assert not (tmp_path / "environment.lock").exists()


@pytest.mark.starts
def test_without_a_network_one_line_says_that_the_index_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "requirements").symlink_to(REQUIREMENTS)
    settings = "PIP_CONFIG_FILE=/dev/null PIP_INDEX_URL=http://127.0.0.1:9/ PIP_RETRIES=1"
    pip = f"{settings} PIP_TARGET={tmp_path} exec {sys.executable} -m pip --no-cache-dir"
    make = f"""mkdir -p "$3/bin"
cat > "$3/bin/python" <<'END'
#!/bin/sh
shift 2
{pip} "$@"
END
chmod +x "$3/bin/python\""""
    install = start_install(tmp_path, make)
    _, said = install.communicate(timeout=60)
    assert install.returncode == 1
    assert said == (
        "The package index cannot be reached; 'pip config list' shows which one it is.\n"
    )
    assert not (tmp_path / "environment.lock").exists()


def start_install(folder: Path, python: str) -> subprocess.Popen[str]:
    """Start an install into `environment`, with a shell script in place of Python."""
    program = folder / f"python-{len(list(folder.glob('python-*')))}"
    program.write_text(f"#!/bin/sh\n{python}\n")
    program.chmod(0o755)
    return subprocess.Popen(
        [str(REQUIREMENTS / "install.sh"), "--new", "environment", "pip"],
        cwd=folder,
        env=os.environ | {"PYTHON": str(program)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(path: Path) -> None:
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.01)


def test_install_test_tries_every_lock() -> None:
    script = (REQUIREMENTS / "install-test.sh").read_text()
    tried = set(re.findall(r'try "([a-z-]+)\.txt', script))
    for listed in re.findall(r"for \w+ in ([a-z -]+); do", script):
        tried |= set(listed.split())
    assert tried | {"build"} == set(LOCKS)


def test_the_readme_the_makefile_and_the_package_name_the_same_pythons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [
        version
        for one in project["classifiers"]
        if (version := one.removeprefix("Programming Language :: Python :: ")) != one
    ]
    oldest, newest = named[0], named[-1]
    assert project["requires-python"] == f">={oldest}"
    checked = re.findall(r"here [<>] \((\d), (\d+)\)", MAKEFILE)
    assert [".".join(one) for one in checked] == [oldest, newest]
    for document in ("README.md", "CONTRIBUTING.md"):
        assert f"Python {oldest} to {newest}" in (ROOT / document).read_text()


def test_no_index_accepts_the_wheel_and_the_documents_say_why() -> None:
    """PyPI refuses every distribution with a classifier that begins with `Private ::`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert "The Python wheel is a step of its build and is not published." in readme
