#!/usr/bin/env bash
# Shows that the tests notice faults: tests/mutants.sh [--short] [--table] [NAME...]
#
# Each file in tests/mutants puts one fault back that sanimon once had, or makes one that a promise forbids. It is made in a
# copy of the checkout, the tests that are named beside it are run, and they must fail. NAMEs run only these, --short those
# that are marked `short: yes` (CI), --table also prints a Markdown table. All of them take about seven minutes on two cores,
# of which three are for what is built the first time.
#
# The copy and what is built of it are in ~/.cache/sanimon (mutants, mutants-target) and may be deleted at any time.
set -euo pipefail
command -v python3 >/dev/null || { echo "Python 3 is needed (apt-get install python3)"; exit 1; }
exec python3 "$(dirname "$0")/mutants/mutants.py" "$@"
