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
cargo run --quiet --locked --package portcullis --example build-policies -- "$@"
