"""What every results file holds: the figures, the versions, the machine, the time."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path

from benchmarks.tables import Verdict, as_json, verdict_table

RESULTS = Path(__file__).resolve().parent / "results"
OUR_DISTRIBUTIONS = ("advrec-teach", "torch", "tensorflow", "keras", "numpy", "scipy", "papermill", "nbclient")


def machine() -> dict:
    """Describe the machine without naming it."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def our_versions() -> dict[str, str]:
    """The versions of what our side runs on."""
    found = {}
    for name in OUR_DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write(
    part: str,
    *,
    title: str,
    tables: list[tuple[str, str]],
    verdicts: list[Verdict],
    versions: dict[str, dict[str, str]],
    settings: dict,
    figures: dict,
    quick: bool,
    load_before: float,
    folder: Path = RESULTS,
) -> str:
    """Write ``results/<part>.json`` and ``.md`` and return the text of the latter; a quick run writes nothing."""
    here = machine()
    sections = [f"# {title}"]
    for heading, table in tables:
        sections.append(f"## {heading}\n\n{table}")
    if verdicts:
        sections.append(f"## Targets\n\n{verdict_table(verdicts)}")
    listed = {"ours": our_versions(), **versions}
    lines = "\n".join(
        f"- {name}: " + ", ".join(f"{package} {version}" for package, version in packages.items())
        for name, packages in listed.items()
    )
    busy = f"load average before the run {load_before:.2f}"
    sections.append(
        f"## Versions and machine\n\n{lines}\n- {here['processor']}, {here['cores']} cores, "
        f"{here['system']}, Python {here['python']}; {busy}"
    )
    text = "\n\n".join(sections) + "\n"
    if not quick:
        folder.mkdir(parents=True, exist_ok=True)
        record = {
            "part": part,
            "date": datetime.date.today().isoformat(),
            "machine": here,
            "load_before": round(load_before, 2),
            "versions": listed,
            "settings": settings,
            "figures": figures,
            "targets": as_json(verdicts),
        }
        (folder / f"{part}.json").write_text(json.dumps(record, indent=1) + "\n")
        (folder / f"{part}.md").write_text(text)
    return text
