"""Install Debian's packages where the set-up may: as root, with apt-get."""

from __future__ import annotations

import os
import shutil
import subprocess


def may_install() -> bool:
    """Say whether `install` can do anything here."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    """Install packages; what fails ends the set-up, with apt-get's own words above."""
    print(f"Set-up: installing Debian's {', '.join(packages)} ...", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = ("-qq", "-y", "--no-install-recommends")
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=env)
    subprocess.run(["apt-get", "install", *quiet, *packages], check=True, env=env)
