"""Build a wheel of zeroc-ice 3.6.5 for the Python that runs this.

    python build_wheel.py FOLDER

Takes ZeroC's source from PyPI by pip, checks its digest, and compiles it as quick_build.py says.
Needs a C++ compiler and the headers of OpenSSL, bzip2 and Python. See README.md.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RELEASE = "zeroc-ice==3.6.5"
SHA256 = "4235ffeb605bcd4e22e716577f7d61e4aa1bc82f65276bb542701a81b7933356"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
# Ice.py uses a module that Python 3.12 no longer has, for one thing that another does as well.
ICE_PY = {
    "import sys, string, imp, os,": "import sys, string, types, os,",
    "imp.new_module(curr)": "types.ModuleType(curr)",
}
CHANGED = (
    "# Changed by omero-hcs, which built this: the module imp, gone in Python 3.12, is not used.\n"
)
SETUP_CFG = """
[metadata]
license_files = *LICENSE

[options]
cmdclass =
    build_ext = quick_build.QuickBuild
"""


def main() -> int:
    """Build, and print the wheel's path."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the wheel goes")
    parser.add_argument("--source", type=Path, help="zeroc-ice-3.6.5.tar.gz, where it is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zeroc-ice-") as scratch:
        archive = arguments.source or download(Path(scratch))
        check(archive)
        wheel = build(unpack(archive, Path(scratch)), Path(scratch) / "wheel")
        arguments.folder.mkdir(parents=True, exist_ok=True)
        print(shutil.copy(wheel, arguments.folder))
    return 0


def download(scratch: Path) -> Path:
    """Fetch the source from the package index."""
    run(*PIP, "download", "--no-deps", "--no-binary", ":all:", "--dest", str(scratch), RELEASE)
    return next(scratch.glob("*.tar.gz"))


def check(archive: Path) -> None:
    """Refuse a source that is not the one that ZeroC released."""
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{archive} is not zeroc-ice 3.6.5: its sha256 is {found}, not {SHA256}.")


def unpack(archive: Path, scratch: Path) -> Path:
    """Unpack the source and put our part of the build into it; return its folder."""
    shutil.unpack_archive(archive, scratch)
    source = scratch / archive.name.removesuffix(".tar.gz")
    for ours in ("quick_build.py", "python_shim.hpp"):
        shutil.copy(HERE / ours, source)
    shutil.copytree(HERE / "include", source / "include")
    with (source / "setup.cfg").open("a", encoding="utf-8") as settings:
        settings.write(SETUP_CFG)
    mend(source / "lib" / "Ice.py")
    return source


def mend(module: Path) -> None:
    """Make Ice.py run on Python 3.12 and later."""
    text = module.read_text(encoding="utf-8")
    for old, new in ICE_PY.items():
        if text.count(old) != 1:
            sys.exit(f"{module} is not as expected: {old!r} is there {text.count(old)} times.")
        text = text.replace(old, new)
    module.write_text(CHANGED + text, encoding="utf-8")


def build(source: Path, folder: Path) -> Path:
    """Compile; return the wheel."""
    run(*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    return next(folder.glob("*.whl"))


def run(*command: str) -> None:
    """Run a command; end here if it fails, its own words are enough."""
    if code := subprocess.run(command, check=False).returncode:
        sys.exit(code)


if __name__ == "__main__":
    sys.exit(main())
