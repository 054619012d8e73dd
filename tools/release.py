"""Check that a release is in order, build it, and try the wheel in a clean environment.

Nothing is uploaded and no tag is set: what to do next is printed at the end.
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
PACKAGES = ("omero_hcs", "omero_scripts")


def main() -> int:
    """Run every step; the first one that fails says why."""
    version = setup_version()
    faults = find_faults(version)
    if faults:
        print("\n".join(["Not released:", *(f"  - {fault}" for fault in faults)]))
        return 1
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT))
    wheel = next(DIST.glob("*.whl"))
    check_contents(wheel)
    try_wheel(wheel, version)
    print(
        f"{DIST.name}/ has omero-hcs {version}, and it installs. Now: git tag v{version}; upload."
    )
    return 0


def setup_version() -> str:
    """Return the version in setup.cfg, the one place that has it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config["metadata"]["version"]


def find_faults(version: str) -> list[str]:
    """Say what keeps this checkout from being released as `version`."""
    faults = []
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        faults.append(f"{version!r} in setup.cfg is no release version such as 1.2.0 or 1.2.0rc1.")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## +", changelog, flags=re.MULTILINE)[1:]
    latest = sections[0].split()[0] if sections else "nothing"
    if latest != version:
        faults.append(f"CHANGELOG.md begins with {latest}, setup.cfg says {version}.")
    elif "\n- " not in sections[0]:
        faults.append(f"CHANGELOG.md says nothing about {version}.")
    if said("git", "tag", "--list", f"v{version}"):
        faults.append(f"There is a tag v{version} already; raise the version in setup.cfg.")
    if said("git", "status", "--porcelain"):
        faults.append("There are uncommitted changes: commit them or put them aside.")
    return faults


def said(*command: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def check_contents(wheel: Path) -> None:
    """Make sure that the wheel has what is no Python file, and nothing but the package."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tracked = said("git", "ls-files", *PACKAGES).splitlines()
    missing = sorted(set(tracked) - set(names))
    stray = sorted(
        {name.partition("/")[0] for name in names if ".dist-info/" not in name} - {*PACKAGES}
    )
    if missing or stray:
        sys.exit(f"The wheel lacks {missing or 'nothing'} and has {stray or 'nothing'} too many.")


def try_wheel(wheel: Path, version: str) -> None:
    """Install the wheel alone in a clean environment and ask it who it is."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "venv", folder)
        run(f"{folder}/bin/python", "-m", "pip", "install", "-qq", str(wheel))
        run(f"{folder}/bin/omero-hcs", "--help", quiet=True)
        code = "import importlib.metadata as m, omero_hcs; print(m.version('omero-hcs'))"
        found = subprocess.run(
            [f"{folder}/bin/python", "-c", code],
            check=True, cwd=folder, stdout=subprocess.PIPE, text=True,
        ).stdout.strip()  # fmt: skip
    if found != version:
        sys.exit(f"The installed wheel says it is {found}, not {version}.")


def run(*command: str, quiet: bool = False) -> None:
    """Run a command from the root; `quiet` keeps what it prints."""
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL if quiet else None)


if __name__ == "__main__":
    sys.exit(main())
