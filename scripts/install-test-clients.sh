#!/usr/bin/env bash
# Installs the foreign MCP clients and servers that the tests drive into DIR: a Python environment and npm packages, in
# pinned versions. Does nothing where they are installed already; a second one at the same time waits.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }

python_packages=(mcp==2.3.0)
node_packages=(@modelcontextprotocol/server-filesystem@2026.8.31)

mkdir -p "$1"
cd "$1"
exec 9>lock
flock 9

wanted="${python_packages[*]} ${node_packages[*]}"
[ "$(cat installed 2>/dev/null)" = "$wanted" ] && exit 0

rm -rf installed python node
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check --retries 1 --timeout 20 "${python_packages[@]}" </dev/null
npm install --prefix node --silent --no-audit --no-fund --ignore-scripts --fetch-retries 1 --fetch-timeout 60000 \
    "${node_packages[@]}" </dev/null
echo "$wanted" >installed
