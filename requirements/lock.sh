#!/usr/bin/env bash
# Resolve the requirements again. uv writes the address of an index only on request. Do not request it: the result is committed.
set -euo pipefail
cd "$(dirname "$0")"
compile=(uv pip compile --quiet --universal --python-version 3.11 --generate-hashes
  --upgrade --custom-compile-command "make lock")
"${compile[@]}" pip.in -o pip.txt
"${compile[@]}" oldest-pip.in -o oldest-pip.txt
"${compile[@]}" runtime.in -o runtime.txt
"${compile[@]}" -c runtime.txt build.in -o build.txt
"${compile[@]}" emulator.in -o emulator.txt
"${compile[@]}" -c runtime.txt otel.in -o otel.txt
"${compile[@]}" -c runtime.txt faces.in -o faces.txt
"${compile[@]}" -c runtime.txt dev.in -o dev.txt
"${compile[@]}" -c dev.txt quality.in -o quality.txt
"${compile[@]}" -c dev.txt fuzz.in -o fuzz.txt
"${compile[@]}" -c dev.txt image.in -o image.txt
"${compile[@]}" bench.in -o bench.txt
