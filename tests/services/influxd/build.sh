#!/usr/bin/env bash
# Builds a real InfluxDB 2 for the tests from the Go module proxy, once, into a cache outside the checkout.
#
# Needs Go 1.26 or newer, Rust and a C compiler (InfluxDB's query language, Flux, is partly Rust). Prints the program's
# path as its last line. About 7 minutes on two cores. Versions 2.7 and 2.8 do not compile with Rust 1.95.
set -euo pipefail

version=v2.9.1
pkg_config=v0.3.0
cache="${SANIMON_CACHE:-$HOME/.cache/sanimon}/influxd-$version"
program="$cache/influxd"
log="$cache/build.log"

if [ -n "${SANIMON_INFLUXD:-}" ]; then echo "$SANIMON_INFLUXD"; exit 0; fi
if command -v influxd >/dev/null 2>&1; then command -v influxd; exit 0; fi
if [ -x "$program" ]; then echo "$program"; exit 0; fi

command -v go >/dev/null 2>&1 || { echo "Go was not found, and no influxd" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$cache"
echo "building InfluxDB $version into $cache, once (its log: $log)" >&2
{
  # The Flux build asks rustup for a toolchain by name; the installed one will do.
  if command -v rustup >/dev/null 2>&1; then
    RUSTUP_TOOLCHAIN=$(rustup show active-toolchain | cut -d' ' -f1)
    export RUSTUP_TOOLCHAIN
  fi
  export CGO_ENABLED=1 GOBIN="$cache/bin" GOFLAGS=-buildvcs=false
  unset CARGO_TARGET_DIR
  go install "github.com/influxdata/pkg-config@$pkg_config"
  # go.mod and go.sum beside this script say exactly what is built.
  cd "$here"
  PKG_CONFIG="$GOBIN/pkg-config" go build -tags sqlite_foreign_keys,sqlite_json \
    -o "$program.part" github.com/influxdata/influxdb/v2/cmd/influxd
  mv "$program.part" "$program"
} >"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
echo "$program"
