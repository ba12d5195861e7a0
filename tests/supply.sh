#!/usr/bin/env bash
# The supply chain: licences, sources and duplicates of the crates (cargo deny), advisories where their database can be
# reached, the console's packages (npm audit) likewise, and that the parts list can be made.
set -uo pipefail
cd "$(dirname "$0")/.."
tools="${XDG_CACHE_HOME:-$HOME/.cache}/sanimon/tools"
export PATH="$tools/bin:$PATH"
status=0

if ! command -v cargo-deny >/dev/null && [ "${CI:-}" = "true" ]; then
  echo "installing cargo-deny into $tools, once"
  # Its own target folder: nothing of ours is built anew.
  CARGO_TARGET_DIR="$tools/target" cargo install --quiet --locked cargo-deny --root "$tools" && rm -rf "$tools/target"
fi
if command -v cargo-deny >/dev/null; then
  cargo deny --log-level error check licenses bans sources || status=1
  # The database of advisories is on GitHub, which not every machine reaches: then that is said, and nothing is claimed.
  if output=$(cargo deny --log-level error check advisories 2>&1); then
    echo "advisories ok"
  elif echo "$output" | grep -qiE "failed to fetch|could not resolve|unable to|network|git operation|failed to clone|failed to acquire"; then
    echo "advisories: the database cannot be reached from here"
  else
    echo "$output"; status=1
  fi
else
  echo "cargo-deny was not found: cargo install cargo-deny"
fi

if command -v npm >/dev/null; then
  if output=$(cd dashboards/console && npm audit --omit=dev --audit-level=moderate 2>&1); then
    echo "npm audit ok"
  elif echo "$output" | grep -qiE "ENOTFOUND|ECONNREFUSED|ETIMEDOUT|endpoint|audit request|403|404|405|502|503"; then
    echo "npm audit: its endpoint cannot be reached from here"
  else
    echo "$output"; status=1
  fi
  node tests/sbom.mjs | node -e 'const b=JSON.parse(require("fs").readFileSync(0)); if (b.components.length<100) process.exit(1); console.log(b.components.length+" components")' || status=1
fi
exit "$status"
