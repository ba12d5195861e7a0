"""Puts old faults back, one at a time, and sees whether a test fails. Called by tests/mutants.sh.

A file NAME.mutant:

    finding: RM4                          as what sanimon once had it; none: a fault that must never come
    fault: what was wrong                 one line, for people
    test: --workspace --test specs stale::
    short: yes                            part of tests/mutants.sh --short
    --- old
    lines of crates/*/src as they are     found exactly once, in whichever file; indentation does not count
    --- new
    lines that take their place

`test` is what stands behind `cargo test`, with the beginning of the tests' names at its end. It may be given several times:
each of these must fail.
"""

import argparse
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "mutants"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sanimon"
TREE = CACHE / "mutants" / "tree"
BUILD_SECONDS = 1_800
# Whoever takes longer hangs. Without a fault each of the commands takes less than 40 s on two cores that others use as well.
TEST_SECONDS = 180
SEEDS = "40"


class Broken(Exception):
    """The table, or the tree, is not as it must be: nothing can be said about the tests."""


class Mutant:
    def __init__(self, path):
        self.name = path.stem
        head, _, rest = path.read_text().partition("--- old\n")
        old, _, new = rest.partition("--- new\n")
        self.tests, fields = [], {}
        for line in head.splitlines():
            key, _, value = line.partition(": ")
            if key == "test":
                self.tests.append(value.split())
            else:
                fields[key] = value
        try:
            # The finding is for people who read the file.
            _, self.fault = fields.pop("finding"), fields.pop("fault")
        except KeyError as missing:
            raise Broken(f"{path.name} has no line {missing}") from None
        self.is_short = fields.pop("short", "no") == "yes"
        self.old, self.new = old.strip("\n").splitlines(), new.strip("\n").splitlines()
        if fields or not self.tests or not self.old or self.old == self.new:
            raise Broken(f"{path.name} is not written as tests/mutants/mutants.py says")

    def place(self):
        """The one place of the old lines: file, text, first line."""
        wanted = [line.strip() for line in self.old]
        found = []
        for path in sorted(TREE.glob("crates/*/src/**/*.rs")):
            lines = path.read_text().splitlines()
            stripped = [line.strip() for line in lines]
            for at in range(len(lines) - len(wanted) + 1):
                if stripped[at : at + len(wanted)] == wanted:
                    found.append((path, lines, at))
        if len(found) != 1:
            places = ", ".join(f"{path.relative_to(TREE)}:{at + 1}" for path, _, at in found) or "nowhere"
            raise Broken(
                f"its old lines must be in crates/*/src exactly once, they are: {places}.\n"
                f"  The code has changed: write into tests/mutants/{self.name}.mutant what the lines are now, so that the "
                f"fault is the same ({self.fault})."
            )
        return found[0]


def tracked():
    """The files of the checkout, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )
    if listed.returncode != 0:
        raise Broken(f"git ls-files failed: {listed.stderr.decode().strip()}")
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    return [name for name in names if (ROOT / name).is_file()]


def copy_tree():
    """Makes the copy equal the checkout. Files that are equal are left alone: what is built of them is used again."""
    names = set(tracked())
    for path in [path for path in TREE.rglob("*") if not path.is_dir()]:
        if str(path.relative_to(TREE)) not in names:
            path.unlink()
    for name in names:
        source, copy = ROOT / name, TREE / name
        if not copy.exists() or source.read_bytes() != copy.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
            shutil.copymode(source, copy)


def seed_target():
    """On a machine without the cache: what the checkout has built of the registry's crates is copied, and not built again. What
    is built of the project's own crates is not: cargo would take one for the other."""
    built = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug"
    target = CACHE / "mutants-target" / "debug"
    if target.exists() or not built.exists():
        return
    for folder in ("deps", "build", ".fingerprint"):
        ours = shutil.ignore_patterns("*sanimon*", "system-*")
        shutil.copytree(built / folder, target / folder, symlinks=True, ignore=ours)


def run(command, seconds):
    """Exit code and output; `None` for the code of what took too long."""
    settings = {"CARGO_TERM_COLOR": "never", "SANIMON_CONSOLE": "skip", "SANIMON_SEEDS": SEEDS}
    # Never the checkout's own target: cargo takes a package of the copy for that of the checkout, with its fault.
    target = {"CARGO_TARGET_DIR": str(CACHE / "mutants-target")}
    env = {**os.environ, **settings, **target}
    process = subprocess.Popen(
        command, cwd=TREE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def end_of(output):
    return "\n".join(output.strip().splitlines()[-30:])


def split(test):
    """The build's part of a test's words, and the names of the tests."""
    names = [word for word in test if "::" in word or word.endswith("_")]
    return [word for word in test if word not in names], names


def cargo_test(what, names):
    """The tests that failed."""
    code, output = run(["cargo", "test", "--locked", *what, "--no-run"], BUILD_SECONDS)
    if code != 0:
        raise Broken("it cannot be built:\n" + (end_of(output) if code is not None else "it takes too long"))
    code, output = run(["cargo", "test", "--locked", *what, "--", *names], TEST_SECONDS)
    if code is None:
        return ["(hangs)"]
    failed = re.findall(r"^test (\S+)(?: - .*)? \.\.\. FAILED$", output, re.MULTILINE)
    # Without a name: an abort, or a stack that is too deep.
    return failed or ([f"(the tests ended with {code})"] if code != 0 else [])


def check_names(what, names):
    """Each must be of a test, so that a test that gets another name is not forgotten."""
    _, output = run(["cargo", "test", "--locked", *what, "--", "--list"], BUILD_SECONDS)
    known = re.findall(r"^(\S+): test$", output, re.MULTILINE)
    for name in names:
        if not any(name in test for test in known):
            raise Broken(f"no test of {' '.join(what)} is called {name}")


def check_unmutated(mutants):
    by_target = {}
    for mutant in mutants:
        for what, names in map(split, mutant.tests):
            by_target.setdefault(tuple(what), []).extend(names)
    for what, names in by_target.items():
        names = sorted(set(names))
        failed = cargo_test(list(what), names)
        if failed:
            raise Broken(f"without a fault, {' '.join(what)} fails: {', '.join(failed)}")
        check_names(list(what), names)


def caught_by(mutant):
    """The tests that failed; empty: nobody noticed. Also the file of the fault."""
    path, lines, at = mutant.place()
    before = path.read_text()
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    outer = len(mutant.new[0]) - len(mutant.new[0].lstrip()) if mutant.new else 0
    new = [indent + line[min(outer, len(line) - len(line.lstrip())) :] for line in mutant.new]
    caught = []
    try:
        path.write_text("\n".join(lines[:at] + new + lines[at + len(mutant.old) :]) + "\n")
        for what, names in map(split, mutant.tests):
            failed = cargo_test(what, names)
            if not failed:
                return [], path
            caught += failed
    finally:
        path.write_text(before)
    return caught, path


def short(tests):
    more = f" and {len(tests) - 2} more" if len(tests) > 2 else ""
    return ", ".join(tests[:2]) + more


def main():
    parser = argparse.ArgumentParser(prog="tests/mutants.sh")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    started, passed, failed, rows = time.monotonic(), 0, 0, []
    TREE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "mutants" / "lock", "w") as lock:
        # Two at once would mutate each other's tree.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            mutants = [Mutant(path) for path in sorted(TABLE.glob("*.mutant"))]
            unknown = set(asked.names) - {mutant.name for mutant in mutants}
            if unknown:
                raise Broken(f"there is no tests/mutants/{min(unknown)}.mutant")
            mutants = [m for m in mutants if (not asked.names or m.name in asked.names) and (m.is_short or not asked.short)]
            seed_target()
            copy_tree()
            check_unmutated(mutants)
            print(f"without a fault the tests pass ({time.monotonic() - started:.0f} s)", flush=True)
        except Broken as why:
            print(why)
            mutants, failed = [], 1
        for mutant in mutants:
            begun = time.monotonic()
            try:
                tests, path = caught_by(mutant)
                says = f"caught by {short(tests)}" if tests else "NOT CAUGHT"
                rows.append((mutant, path.relative_to(TREE), tests))
            except Broken as why:
                tests, says = [], f"ERROR: {why}"
            passed, failed = passed + bool(tests), failed + (not tests)
            print(f"{mutant.name} ({time.monotonic() - begun:.0f} s): {says}", flush=True)
    if asked.table:
        print("\n| fault | put back in | caught by |\n|---|---|---|")
        for mutant, path, tests in rows:
            caught = ", ".join(f"`{test}`" for test in tests[:1]) + (f" and {len(tests) - 1} more" if len(tests) > 1 else "")
            print(f"| {mutant.fault} | `{path}` | {caught or '**nobody**'} |")
        print()
    word = "FAILED" if failed else "ok"
    print(
        f"test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; "
        f"finished in {time.monotonic() - started:.2f}s"
    )
    return 1 if failed else 0


sys.exit(main())
