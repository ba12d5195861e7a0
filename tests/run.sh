#!/usr/bin/env bash
# The one test command: checks or installs what it needs, runs everything, ends with the totals.
#
# On a user's machine, what is missing is skipped with a word; under CI=true it is an error.
# Caches live outside the checkout (~/.cache/sanimon) and may be deleted at any time.
set -uo pipefail
cd "$(dirname "$0")/.."

is_ci() { [ "${CI:-}" = "true" ]; }
passed=0 failed=0 skipped=0
log_folder=$(mktemp -d)
trap 'rm -rf "$log_folder"' EXIT

say() { printf '\n== %s\n' "$*"; }

# The build cache only under CI: a user's own target folder is their own business.
if is_ci; then export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/sanimon/target}"; fi

install_debian() {
  local missing=()
  for pair in "$@"; do command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}"); done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing ${missing[*]}"
    apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null && return 0
  fi
  echo "missing: ${missing[*]} (apt-get install ${missing[*]})"
  return 1
}

# Runs a step and adds up what its runner counted. A step that fails without a count is one failure.
step() {
  local name=$1 log; shift
  log="$log_folder/$(echo "$name" | tr -c 'a-z0-9\n' '_')"
  say "$name"
  "$@" 2>&1 | tee "$log"
  local status=${PIPESTATUS[0]} p f s
  # cargo test: "test result: ok. 11 passed; 0 failed; 0 ignored". vitest: "Tests  9 passed (9)".
  p=$(grep -oE '^test result: .* [0-9]+ passed' "$log" | grep -oE '[0-9]+ passed' | awk '{n+=$1} END{print n+0}')
  f=$(grep -oE '^test result: .*; [0-9]+ failed' "$log" | grep -oE '[0-9]+ failed' | awk '{n+=$1} END{print n+0}')
  s=$(grep -oE '^test result: .*; [0-9]+ ignored' "$log" | grep -oE '[0-9]+ ignored' | awk '{n+=$1} END{print n+0}')
  if grep -qE 'Test Files' "$log"; then
    local line; line=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^ *Tests ' | tail -n 1)
    p=$((p + $(echo "$line" | grep -oE '[0-9]+ passed' | awk '{print $1+0}' || echo 0)))
    f=$((f + $(echo "$line" | grep -oE '[0-9]+ failed' | awk '{n=$1} END{print n+0}')))
  fi
  # A check without a count of its own counts as one.
  if [ "$p" -eq 0 ] && [ "$f" -eq 0 ]; then
    if [ "$status" -eq 0 ]; then p=1; else f=1; fi
  elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
    f=1
  fi
  passed=$((passed + p)); failed=$((failed + f)); skipped=$((skipped + s))
}

skip() {
  echo "skipped: $*"
  skipped=$((skipped + 1))
  if is_ci; then failed=$((failed + 1)); fi
}

command -v cargo >/dev/null || { echo "Rust is needed: https://rustup.rs"; exit 1; }
services=yes
install_debian mosquitto:mosquitto mosquitto_pub:mosquitto-clients aiosmtpd:python3-aiosmtpd faketime:faketime || services=no
python3 -c "import venv, ensurepip" 2>/dev/null || { [ "$(id -u)" -eq 0 ] && apt-get install -y -qq python3-venv >/dev/null 2>&1; } || true
browser=yes
install_debian chromium:chromium || browser=no
# Clients that tests/system/mqtt/clients.rs speaks with, below the cache. What cannot be had is skipped there; under CI it fails.
cache="${SANIMON_CACHE:-$HOME/.cache/sanimon}"
if ! PYTHONPATH="$cache/paho" python3 -c "import paho.mqtt.enums" 2>/dev/null; then
  timeout 120 python3 -m pip install --quiet --target "$cache/paho" "paho-mqtt==2.1.0" || echo "paho-mqtt could not be installed"
fi
if command -v npm >/dev/null && [ ! -d "$cache/mqttjs/node_modules/mqtt" ]; then
  mkdir -p "$cache/mqttjs"
  (cd "$cache/mqttjs" && timeout 120 npm install --no-audit --no-fund --loglevel=error mqtt@5.16.0) || echo "MQTT.js could not be installed"
fi
influxdb=yes
if influxd=$(tests/services/influxd/build.sh); then export SANIMON_INFLUXD="$influxd"; else influxdb=no; fi
node=yes
command -v npm >/dev/null || node=no

if [ "$influxdb" = no ]; then
  skip "what needs InfluxDB: tests/services/influxd/build.sh could not build it (it needs Go 1.26 or newer)"
fi
step "format" cargo fmt --all --check
step "clippy" env SANIMON_CONSOLE=skip cargo clippy --locked --workspace --all-targets -- -D warnings
step "unit and property tests" env SANIMON_CONSOLE=skip cargo test --locked --workspace --lib --bins
# What stands in crates/*/tests, all of it: specifications, and simulated towns, each with its failures. SANIMON_SEEDS
# makes the towns more or fewer, SANIMON_CALL_STEP=1 lets each call to the disk fail; tests/proof.sh has the long form.
integration=()
for path in crates/*/tests/*.rs crates/*/tests/*/main.rs; do integration+=(--test "$(basename "${path%/main.rs}" .rs)"); done
step "specifications and simulated towns" env SANIMON_CONSOLE=skip SANIMON_SEEDS="${SANIMON_SEEDS:-200}" \
  SANIMON_CALL_STEP="${SANIMON_CALL_STEP:-11}" cargo test --locked --workspace "${integration[@]}"
step "examples in the documentation" env SANIMON_CONSOLE=skip cargo test --locked --workspace --doc
if command -v python3 >/dev/null; then
  step "old faults are noticed" tests/mutants.sh --short
else
  skip "old faults: Python 3 was not found (apt-get install python3)"
fi
# libFuzzer is C++.
if command -v c++ >/dev/null; then
  step "fuzz: 8 s a target" tests/fuzz.sh 8
else
  skip "fuzzing: there is no C++ compiler (apt-get install g++)"
fi

if [ "$node" = yes ]; then
  console_install() { (cd dashboards/console && npm ci --no-audit --no-fund --loglevel=error); }
  step "console: install" console_install
  console_check() { (cd dashboards/console && npm run -s check); }
  step "console: types" console_check
  console_test() { (cd dashboards/console && npm test --silent); }
  step "console: unit tests" console_test
else
  skip "the console: Node.js 20.19 or newer with npm was not found"
fi

if [ "$services" = yes ] && [ "$browser" = yes ] && [ "$node" = yes ]; then
  step "whole system: real binary, Mosquitto, InfluxDB" cargo test --locked -p sanimon --test system -- --skip browser::
  # By themselves: a page that is watched must not wait for the load of a proof beside it.
  step "whole system: real browser" cargo test --locked -p sanimon --test system -- browser:: --test-threads=1
else
  skip "the whole-system tests: Mosquitto, Chromium or Node.js is missing"
fi

step "supply chain: licences, sources, parts list" tests/supply.sh
if [ "$services" = yes ] && python3 -c 'import venv, ensurepip' 2>/dev/null; then
  step "schemathesis: the API against its document" tests/schemathesis.sh
else
  skip "schemathesis: Python 3 with venv was not found (apt-get install python3-venv)"
fi

printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
