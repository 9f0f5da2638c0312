"""Run every benchmark, keep what they measured in ``results.json``, print it against the bars.

    EVENTSNN_DATA=... python benchmarks/run_all.py [--json] [--quick] [--readme] [SCRIPT ...]

Given scripts' names, runs only those and keeps the others' results of before. What cannot run here (no data,
no rivals) is listed with its reason. ``--readme`` writes the table of all results into this folder's README.
Exit code 1 if a script fails or a bar is missed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measure import arguments, show_verdicts

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results.json"
MARK, END_MARK = "<!-- results -->", "<!-- end of results -->"
SCRIPTS = (
    "start_up",
    "sample_overhead",
    "engine_speed",
    "rivals",
    "inference",
    "lenet_rate",
    "edge_list",
    "sanafe_peer",
    "hardware_speed",
    "hardware",
    "bounds",
    "handshakes",
    "scaling",
    "replay",
    "readers",
    "workers",
    "kills",
    "large",
    "full_size",
    "accelerators",
    "published_chips",
    "resnet20",
    "cifar10_dvs",
    "asynchrony",
    "integer_networks",
    "trained",
    "certified",
    "atsnn",
    "i2e",
    "nir_nmnist",
    "countings",
    "event_files",
    "long_stream",
    "results_scale",
)


def run(script: str, quick: bool) -> dict[str, Any]:
    """A script's JSON; a failure stands in it as one figure that does not hold."""
    command = [sys.executable, str(FOLDER / f"{script}.py"), "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        found: dict[str, Any] = json.loads(done.stdout)
        return found
    why = f"{script}.py ended with code {done.returncode}"
    return {script: {"value": {script: None}, "bar": {script: "-"}, "holds": False, "skipped": why}}


def markdown(results: dict[str, Any]) -> str:
    """The results as a table, with the machine they are from."""
    lines = ["| | figure | measured | bar | |", "|---|---|---|---|---|"]
    for number, entry in sorted(results.items()):
        for name, value in entry["value"].items():
            shown = "not measured" if value is None else f"{value:.3g}"
            held = {True: "holds", False: "missed", None: ""}[entry.get("held", {}).get(name)]
            lines.append(f"| {number} | {name} | {shown} | {entry['bar'][name]} | {held} |")
    found = next((e["detail"]["machine"] for e in results.values() if "machine" in e.get("detail", {})), {})
    return "\n".join([*lines, "", ", ".join(f"{name} {value}" for name, value in found.items()) + "."])


def write_readme(results: dict[str, Any]) -> None:
    """Replace the table between the two marks in this folder's README."""
    path = FOLDER / "README.md"
    before, _, rest = path.read_text().partition(MARK)
    _, _, after = rest.partition(END_MARK)
    path.write_text(f"{before}{MARK}\n{markdown(results)}\n{END_MARK}{after}")


def main() -> None:
    """Run, merge, print."""
    chosen = arguments(
        __doc__,
        lambda parser: parser.add_argument("scripts", nargs="*", metavar="SCRIPT"),
        lambda parser: parser.add_argument("--readme", action="store_true", help="write README's table"),
    )
    unknown = sorted(set(chosen.scripts) - set(SCRIPTS))
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(SCRIPTS)}")
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for script in chosen.scripts or SCRIPTS:
        started = time.perf_counter()
        found = run(script, chosen.quick)
        results |= {key: entry | {"quick": chosen.quick} for key, entry in found.items()}
        RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")
        print(f"{script}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    if chosen.readme:
        write_readme(results)
    if chosen.json:
        print(json.dumps(results))
    else:
        show_verdicts(dict(sorted(results.items())))
    if any(entry["holds"] is False for entry in results.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
