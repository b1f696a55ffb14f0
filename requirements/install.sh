#!/bin/sh
# Install locks into an environment, and nothing else. Locks are complete, so pip resolves nothing.
#
#   install.sh ENVIRONMENT LOCK...          into an existing environment; "." is Safelight itself
#   install.sh --new ENVIRONMENT PIP LOCK.. into a new one of $PYTHON; PIP is the lock of its pip
#
# The file .tools marks an environment as sound. It is absent while an install runs, so that
# an interrupted install makes `make` start from an empty environment. The folder ENVIRONMENT.lock
# keeps a second install out meanwhile. It is a folder because macOS has no flock.
set -eu

pip() {
    said=$("$python" -m pip --disable-pip-version-check --no-input "$@" 2>&1) && return
    case $said in
        *Retrying*"from versions: none"* | *"Max retries exceeded"* | *"Read timed out"*)
            echo "The package index cannot be reached; 'pip config list' shows which one it is." ;;
        *) echo "$said" ;;
    esac >&2
    exit 1
}

new=
if [ "$1" = --new ]; then
    new=yes
    shift
fi
environment=$1
python=$environment/bin/python
shift
mkdir "$environment.lock" || {
    echo "Another install into $environment is running. If none is, remove $environment.lock and try again." >&2
    exit 1
}
trap 'rm -rf "$environment.lock"' EXIT
trap 'exit 1' HUP INT TERM
if [ "$new" ]; then
    rm -rf "$environment"
    "${PYTHON:-python3}" -m venv "$environment"
    touch "$environment/.unfinished"
else
    mv "$environment/.tools" "$environment/.unfinished"
fi
for lock; do
    case $lock in
        .) pip install --no-deps --no-build-isolation --editable . ;;
        *) pip install --no-deps --require-hashes --no-build-isolation --requirement "requirements/$lock.txt" ;;
    esac
done
pip check
mv "$environment/.unfinished" "$environment/.tools"
