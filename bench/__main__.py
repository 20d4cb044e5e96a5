"""`python -m bench [PART…]`: measure Penstock on this machine and print a table.

Everything runs on loopback, against one local upstream, from folders that are removed. Nothing is
written, except the file that `--json` names.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import orjson
from rich.console import Console

from bench import report, upstreams
from bench.parts import PARTS, Options
from bench.report import Section
from bench.upstream import allow_many_files

PACKAGES = ("starlette", "uvicorn", "dramatiq", "redis", "sqlalchemy", "aiohttp", "httpx")


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "packages": packages,
    }


def main() -> int:
    """Run the parts that were asked for; return 1 when a target was missed."""
    if not Path("/proc/self/stat").exists():
        print("The bench reads CPU and memory from /proc, which only Linux has.", file=sys.stderr)
        return 2
    options = _arguments()
    allow_many_files()
    console = Console()
    about = machine()
    console.print("\n".join(f"[bold]{name}[/] {value}" for name, value in about.items()))
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as logs:
        for part in options.parts or PARTS:
            with upstreams.running(Path(logs)) as upstream, console.status(f"measuring {part} …"):
                how = Options(jobs=options.jobs, repeat=options.repeat, lines=options.lines)
                sections.append(PARTS[part](upstream, how))
            report.show(sections[-1:], console)
    if options.json:
        found = {section.title: section.raw for section in sections}
        text = orjson.dumps({**about, "figures": found}, option=orjson.OPT_INDENT_2)
        options.json.write_bytes(text + b"\n")
    return int(any(row.met is False for section in sections for row in section.rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}")
    parser.add_argument("--jobs", type=int, default=5000, help="of *jobs* and *in_flight*")
    parser.add_argument("--repeat", type=int, default=3, help="runs of *jobs*: the median counts")
    parser.add_argument("--lines", type=int, default=50_000, help="of the large batches")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: use {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
