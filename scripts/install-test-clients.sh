#!/usr/bin/env bash
# Installs the foreign MCP clients and servers that the tests drive, in pinned versions, into a folder of DIR that is named
# after those versions, and prints that folder. Does nothing where it is complete already; a second one at the same time
# waits. In it: `python` (the second generation of the client, and the servers), `python-1` (the first), `node`.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }

python_packages=(mcp==2.3.0 mcp-server-git==2026.10.19)
python_1_packages=(mcp==1.30.0)
node_packages=(@modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.4.0
    @modelcontextprotocol/server-filesystem@2026.8.31 @modelcontextprotocol/server-memory@2026.8.31)

pins=$(declare -p python_packages python_1_packages node_packages)
folder="$1/$(sha256sum <<<"$pins" | cut -c1-16)"
mkdir -p "$folder"
cd "$folder"
folder=$PWD
exec 9>lock
flock 9
[ -e installed ] && { echo "$folder"; exit 0; }

rm -rf python python-1 node

python_environment() {
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 20 "${@:2}"
}

node_environment() {
    node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' || { echo "node is older than 20" >&2; return 1; }
    npm install --prefix "$1" --loglevel=error --no-audit --no-fund --ignore-scripts --fetch-retries 1 --fetch-timeout 60000 \
        "${@:2}"
}

python_environment python "${python_packages[@]}" </dev/null >&2 &
python=$!
python_environment python-1 "${python_1_packages[@]}" </dev/null >&2 &
python_1=$!
node_environment node "${node_packages[@]}" </dev/null >&2 &
node=$!
failed=0
for one in "$python" "$python_1" "$node"; do
    wait "$one" || failed=1
done
[ "$failed" -eq 0 ] || exit 1
touch installed
echo "$folder"
