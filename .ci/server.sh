#!/usr/bin/env bash
# Makes sure that a server's binary is on the PATH: redis-server or
# valkey-server, or redis-check-rdb, which is the same binary by another name.
set -euo pipefail

for name in redis-server valkey-server redis-check-rdb valkey-check-rdb; do
	if command -v "$name" >/dev/null; then exit 0; fi
done
if ! command -v apt-get >/dev/null; then
	echo "no redis-server or valkey-server is on the PATH, and there is no apt-get to install one: please install either" >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
	as_root=(sudo)
fi
echo "installing Debian's redis-tools, for the server's binary (no service is started)"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends redis-tools >/dev/null
