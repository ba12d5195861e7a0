#!/usr/bin/env bash
# The proof that nothing is lost, and the attacks, in full: tests/proof.sh [NAME...]
#
# It runs what CI runs in short with large numbers. First without a binary: 5,000 simulated towns over a disk that fails, a
# day in which each call to the disk fails once, all old faults, each of which a test must notice (tests/mutants.sh), 20,000
# towns of MQTT clients over the embedded broker, and ten million packets to it in any order; about three quarters of an hour.
# Then the system tests (tests/system/proof, tests/system/attacks): 200 kills on each source and back end, a hundred faults of
# each network, a million fuzzed packets to the broker, a soak of half an hour; about an hour on two cores. Last, libFuzzer on
# the broker's packets. A NAME (such as kills, network, influx, soak, attacks) runs only the system tests whose names hold it.
# The results are the lines that begin with `proof`; they are kept in ~/.cache/sanimon/proof, and docs/RELIABILITY.md tells of
# the last ones.
#
# Needs what tests/run.sh installs. Everything stays on loopback and in temporary folders, and ends by itself.
set -uo pipefail
cd "$(dirname "$0")/.."

home="${XDG_CACHE_HOME:-$HOME/.cache}/sanimon/proof"
mkdir -p "$home"
log="$home/$(date -u +%Y-%m-%dT%H%M%SZ).log"
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(proof:: attacks::)
if influxd=$(tests/services/influxd/build.sh); then export SANIMON_INFLUXD="$influxd"; fi
export SANIMON_PROOF="${SANIMON_PROOF:-full}" SANIMON_CONSOLE=skip

{
  echo "machine: $(nproc) cores, $(free -g | awk '/^Mem/ {print $2}') GB, $(uname -sr), $(git rev-parse --short HEAD 2>/dev/null)"
  if [ $# -eq 0 ]; then
    SANIMON_SEEDS="${SANIMON_SEEDS:-5000}" SANIMON_CALL_STEP=1 cargo test --locked --workspace --test specs --test town || exit 1
    tests/mutants.sh --table || exit 1
    # The embedded broker: towns of clients over its whole machinery, and ten million packets in any order.
    SANIMON_TOWNS="${SANIMON_TOWNS:-20000}" SANIMON_FUZZ_PACKETS="${SANIMON_FUZZ_PACKETS:-10000000}" \
      cargo test --locked --release -p sanimon-broker --lib -- --nocapture --test-threads=1 tests:: || exit 1
  fi
  # One after another: each proof is to have the machine for itself.
  cargo test --locked -p sanimon --test system -- --nocapture --test-threads=1 "${names[@]}" || exit 1
  # Bytes as packets, and the decoders behind them; packets in any order. The real broker gets a million above.
  if [ $# -eq 0 ]; then tests/fuzz.sh 120 packets sequences; fi
} 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
printf '\nResults (%s):\n' "$log"
grep -o 'proof [a-z-]* {.*}' "$log"
exit "$status"
