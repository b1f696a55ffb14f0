#!/usr/bin/env bash
# Install every lock as the Makefile does, in a copy of this checkout: with the oldest supported pip,
# then with the locked one. Print a line for each. A lock fails too if pip asked the index for more.
set -uo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - | tar --extract --directory "$copy"
cd "$copy" || exit
failed=0

names() { sed -nE "$1" "${@:2}" | tr '[:upper:]_.' '[:lower:]--' | sort --unique; }

# try LOCKS COMMAND...: run a command that may install these locks alone.
try() {
    local said verdict=ok asked more started=$SECONDS
    : >pip.log
    said=$(PIP_LOG=pip.log "${@:2}" 2>&1) || verdict=failed
    asked=$(names 's/.*location\(s\) to search for versions of ([^ :]+):.*/\1/p' pip.log)
    more=$(comm -23 <(echo "$asked") <(cd requirements && names 's/^([A-Za-z0-9._-]+).*==.*/\1/p' $1))
    [ -z "$more" ] || { verdict=failed; said="pip asked the index for more than $1: $more"; }
    printf '%-7s %-25s pip %-5s %3d names asked for, %3d s\n' \
        "$verdict" "$1" "$version" "$(grep -c . <<<"$asked")" $((SECONDS - started))
    [ "$verdict" = ok ] || { failed=1; echo "$said" | tail -n 20; }
}

for pip in oldest-pip pip; do
    version=$(sed -n 's/^pip==\([0-9.]*\).*/\1/p' "requirements/$pip.txt")
    in_make=(make --no-print-directory PIP_LOCK=$pip)
    "${in_make[@]}" --quiet clean
    try "$pip.txt build.txt" "${in_make[@]}" .venv/.tools
    for lock in runtime otel faces; do
        try "$lock.txt" "${in_make[@]}" ".venv/.$lock"
    done
    "${in_make[@]}" --quiet clean # dev holds otel and faces too, and must be complete without it
    "${in_make[@]}" .venv/.runtime >/dev/null 2>&1
    for lock in dev quality fuzz image; do
        try "$lock.txt" "${in_make[@]}" ".venv/.$lock"
    done
    for lock in emulator bench; do
        try "$pip.txt build.txt" "${in_make[@]}" ".venv-$lock/.tools"
        try "$lock.txt" "${in_make[@]}" ".venv-$lock/.ready"
    done
    try "pip.txt" requirements/install.sh .venv pip
done
exit $failed
