#!/usr/bin/env bash
# Fuzzes every decoder, envelope, MQTT packet and order of packets with libFuzzer, each target for some seconds: tests/fuzz.sh [SECONDS] [TARGET...]
#
# A short run (10 s a target) is part of tests/run.sh; a night is `tests/fuzz.sh 14400`. The corpus is made from the
# published cases and grows in ~/.cache/sanimon/fuzz. What breaks a target is kept beside it, as the last line says.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(frames envelopes native packets sequences scripts)
home="${XDG_CACHE_HOME:-$HOME/.cache}/sanimon/fuzz"
mkdir -p "$home/found"
cargo run --quiet --locked -p sanimon-codec --example fuzz_corpus -- "$home/corpus"
export CARGO_TARGET_DIR="${CARGO_FUZZ_TARGET_DIR:-$home/target}"
# What cargo-fuzz sets, without the sanitizers: those need a nightly compiler.
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1"
cargo build --quiet --manifest-path fuzz/Cargo.toml --locked --release --target "$host" --bins
built="$CARGO_TARGET_DIR/$host/release"
for target in "${targets[@]}"; do
  echo "== fuzz $target, $seconds s"
  # libFuzzer's own limits end an input that takes long or grows.
  log="$home/found/$target.log"
  # What has no published cases begins with nothing.
  mkdir -p "$home/corpus/$target"
  status=0
  "$built/$target" -max_total_time="$seconds" -seed="${FUZZ_SEED:-1}" -timeout=5 -rss_limit_mb=1024 -max_len=4096 -print_final_stats=1 \
    -artifact_prefix="$home/found/$target-" "$home/corpus/$target" >"$log" 2>&1 || status=$?
  grep -E "DONE|stat::(number_of_executed_units|average_exec_per_sec)" "$log" || true
  if [ "$status" -ne 0 ]; then
    grep -vE "^#" "$log" | tail -n 30
    echo "fuzz $target failed: its input is in $home/found"
    exit 1
  fi
done
echo "fuzzed: ${targets[*]}"
