#!/usr/bin/env bash
# build-policies.sh - build the bundled policies again and keep them in policies/dist.
# build-policies.sh --check - build them aside and compare byte for byte: exit 1 when a kept component differs.
# The check is skipped, loudly and with exit 0, where the Rust target cannot be had.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."

if ! "$here/install-wasm-target.sh"; then
  if [ "${1:-}" = --check ]; then
    echo '*** SKIPPED: the bundled policies were NOT compared with their sources: no wasm32-unknown-unknown target ***' >&2
    exit 0
  fi
  exit 1
fi

# The gate embeds the components, and the program that builds them is part of the gate: a new policy starts as an empty file.
for manifest in policies/*/Cargo.toml; do
  component=policies/dist/$(basename "$(dirname "$manifest")").wasm
  if [ ! -e "$component" ]; then
    if [ "${1:-}" = --check ]; then
      echo "$component is missing: run scripts/build-policies.sh and commit what it writes" >&2
      exit 1
    fi
    mkdir -p policies/dist
    : >"$component"
  fi
done

cargo run --quiet --locked --package portcullis --example build-policies -- "$@"
