#!/bin/sh
# Install locks into an environment, and nothing else. Locks are complete, so pip resolves nothing.
#
#   install.sh ENVIRONMENT LOCK...          into an existing environment; "." is Safelight itself
#   install.sh --new ENVIRONMENT PIP LOCK.. into a new one of $PYTHON; PIP is the lock of its pip
#
# The file .tools marks an environment as sound. It is absent while an install runs, so that
# an interrupted install makes `make` start from an empty environment.
set -eu

pip() {
    said=$("$python" -m pip --disable-pip-version-check --no-input "$@" 2>&1) && return
    case $said in
        *Retrying*"from versions: none"*)
            echo "The package index cannot be reached; 'pip config list' shows which one it is." ;;
        *) echo "$said" ;;
    esac >&2
    exit 1
}

if [ "$1" = --new ]; then
    shift
    rm -rf "$1"
    "${PYTHON:-python3}" -m venv "$1"
    touch "$1/.unfinished"
else
    mv "$1/.tools" "$1/.unfinished"
fi
environment=$1
python=$environment/bin/python
shift
for lock; do
    case $lock in
        .) pip install --no-deps --no-build-isolation --editable . ;;
        *) pip install --no-deps --require-hashes --no-build-isolation --requirement "requirements/$lock.txt" ;;
    esac
done
pip check
mv "$environment/.unfinished" "$environment/.tools"
