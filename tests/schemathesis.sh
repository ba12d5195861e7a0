#!/usr/bin/env bash
# schemathesis on the OpenAPI document and the real binary: every endpoint with generated input, as an admin. No answer may
# be a 500, and each must be one that the document knows. tests/schemathesis.sh [EXAMPLES]
set -uo pipefail
cd "$(dirname "$0")/.."
examples=${1:-8}
home="${XDG_CACHE_HOME:-$HOME/.cache}/sanimon/schemathesis"
version=4.32.5
if [ ! -x "$home/bin/schemathesis" ]; then
  python3 -m venv "$home" >/dev/null && "$home/bin/pip" install --quiet "schemathesis==$version" || { echo "schemathesis could not be installed"; exit 3; }
fi
binary="${CARGO_TARGET_DIR:-target}/debug/sanimon"
folder=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -rf "$folder"' EXIT
port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
http=$(port) mqtt=$(port)
printf '[site]\ndata = "data"\n[http]\nlisten = "127.0.0.1:%s"\n[mqtt.embedded]\nlisten = "127.0.0.1:%s"\nanonymous = true\n' "$http" "$mqtt" >"$folder/sanimon.toml"
printf 'a long password\n' | "$binary" user add admin --role admin --data "$folder/data" >/dev/null
"$binary" serve --config "$folder/sanimon.toml" >"$folder/log" 2>&1 &
pid=$!
for _ in $(seq 200); do python3 - "$http" <<'P' && break
import sys, urllib.request
try: urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/healthz"); sys.exit(0)
except Exception: sys.exit(1)
P
done
cookie=$(python3 - "$http" <<'P'
import json, sys, urllib.request
r = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/api/v1/session", json.dumps({"username": "admin", "password": "a long password"}).encode(), {"content-type": "application/json"})
print(urllib.request.urlopen(r).headers["set-cookie"].split(";")[0])
P
)
# The stream of events never ends; a sign-out would end the walk, and new passwords take their time by design.
"$home/bin/schemathesis" run "http://127.0.0.1:$http/api/openapi.json" \
  --header "cookie: $cookie" --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
  --exclude-path /api/v1/events --exclude-path /api/v1/session --exclude-path /api/v1/me/password \
  --exclude-path '/api/v1/users/{name}' --exclude-path '/api/v1/session/oidc/callback' --exclude-path /api/v1/session/oidc \
  --phases examples,fuzzing --max-examples "$examples" --seed 1 --workers 2 --no-color --request-timeout 30 2>&1 | tail -n 400
status=${PIPESTATUS[0]}
if grep -q panicked "$folder/log"; then grep -A5 panicked "$folder/log"; exit 1; fi
exit "$status"
