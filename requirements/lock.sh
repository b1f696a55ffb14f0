#!/usr/bin/env bash
# Resolve the requirements again. No index address may get into the result: it is committed.
set -euo pipefail
cd "$(dirname "$0")"
compile=(uv pip compile --quiet --universal --python-version 3.11 --generate-hashes
  --no-emit-index-url --no-emit-find-links --upgrade --custom-compile-command "make lock")
"${compile[@]}" build.in -o build.txt
"${compile[@]}" runtime.in -o runtime.txt
"${compile[@]}" emulator.in -o emulator.txt
"${compile[@]}" -c runtime.txt dev.in -o dev.txt
