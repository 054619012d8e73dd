"""Bundles: what is in them, what a damaged one does, and an installation without a network."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from omero_hcs.cli.main import run
from omero_hcs.errors import InputError, InputErrors, NotFoundError, WriteError
from omero_hcs.tasks import bundle, bundled_setup, wheelhouse
from omero_hcs.tasks.bundle import BundleParts, make_bundle, pack
from omero_hcs.tasks.bundled_setup import BundleError, install, unpack
from omero_hcs.tasks.wheelhouse import look_at, repacked

NO_NETWORK = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull,
    "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "PIP_FIND_LINKS": "",
    "PIP_EXTRA_INDEX_URL": "",
}  # fmt: skip
TENSORS = b"tensors"


def quiet(*_):
    """Be told of progress, and say nothing."""


def write_wheel(folder, name, version, files, *, requires="", entry=""):
    """Write a small wheel that pip takes."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    info = {
        "METADATA": metadata,
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({"entry_points.txt": f"[console_scripts]\n{entry}\n"} if entry else {}),
    }
    texts = files | {f"{stem}.dist-info/{key}": text for key, text in info.items()}
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in texts.items():
            archive.writestr(zipfile.ZipInfo(inside), text)
        record = "".join(f"{inside},,\n" for inside in texts)
        archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/RECORD"), record)
    return path


@pytest.fixture
def folder(tmp_path):
    """A wheelhouse of two small packages, one of which calls itself omero-hcs."""
    root = tmp_path / "omero-hcs-0.0.1-bundle"
    (root / "wheels").mkdir(parents=True)
    main = "import tiny\ndef main():\n    print('omero-hcs says', tiny.WORD)\n"
    write_wheel(
        root / "wheels", "omero-hcs", "0.0.1", {"small_hcs.py": main},
        requires="tiny", entry="omero-hcs = small_hcs:main",
    )  # fmt: skip
    files = {"tiny/__init__.py": "WORD = 'hello'\n", "tiny/w.pth": TENSORS.decode()}
    write_wheel(root / "wheels", "tiny", "1.0", files)
    return root


@pytest.fixture
def archive(folder, tmp_path):
    pack(folder, tmp_path / "b.tar", ("report",))
    return tmp_path / "b.tar"


def manifest_of(path):
    with tarfile.open(path) as tar:
        return json.loads(tar.extractfile(tar.getnames()[0]).read())


def test_the_manifest_lists_every_file_with_its_digest_and_every_weight_with_its_licence(archive):
    manifest = manifest_of(archive)
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        for name in names[1:]:
            content = tar.extractfile(name).read()
            note = manifest["files"][name.partition("/")[2]]
            assert note == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert len(names) - 1 == len(manifest["files"])
    assert names[1:] == sorted(names[1:])
    assert {"install.py", "INSTALL.txt", "LICENCES.txt", "scripts/hcs/HCS_Runs.py"} <= set(
        manifest["files"]
    )
    (weights,) = manifest["weights"]
    assert weights == {
        "file": "tiny/w.pth", "in": "tiny 1.0", "size": len(TENSORS), "licence": "MIT",
        "sha256": hashlib.sha256(TENSORS).hexdigest(),
    }  # fmt: skip


def test_the_same_files_give_the_same_archive(archive, folder, tmp_path):
    shutil.rmtree(folder / "scripts")
    os.utime(folder / "wheels" / "tiny-1.0-py3-none-any.whl", (1, 1))
    pack(folder, tmp_path / "again.tar", ("report",))
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()


def test_an_archive_is_unpacked_with_every_digest_checked(archive, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    root, manifest = unpack(archive, scratch, tmp_path / "venv", quiet)
    bundled_setup.check_files(root, manifest, quiet)
    (root / "INSTALL.txt").write_text("other")
    with pytest.raises(BundleError, match=r"INSTALL.txt is not the file"):
        bundled_setup.check_files(root, manifest, quiet)


def member(name, content=b"", **more):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in more.items():
        setattr(info, key, value)
    return info, io.BytesIO(content)


STRAY = {
    "absolute": member("/etc/x", b"x"),
    "above": member("omero-hcs-0.0.1-bundle/../x", b"x"),
    "another folder": member("other/x", b"x"),
    "link": member("omero-hcs-0.0.1-bundle/x", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": member("omero-hcs-0.0.1-bundle/x", type=tarfile.LNKTYPE, linkname="install.py"),
    "device": member("omero-hcs-0.0.1-bundle/x", type=tarfile.CHRTYPE),
    "twice": member("omero-hcs-0.0.1-bundle/install.py", b"x"),
    "not listed": member("omero-hcs-0.0.1-bundle/x", b"x"),
}


@pytest.mark.parametrize("what", STRAY)
def test_an_archive_with_anything_else_is_refused(archive, tmp_path, what):
    info, content = STRAY[what]
    content.seek(0)
    with tarfile.open(archive, "a") as tar:
        tar.addfile(info, content)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(BundleError, match="damaged"):
        unpack(archive, scratch, tmp_path / "venv", quiet)
    assert not list(tmp_path.rglob("x"))


def test_a_changed_byte_or_a_short_archive_is_refused_and_nothing_is_installed(archive, tmp_path):
    content = bytearray(archive.read_bytes())
    content[content.find(b"WORD = ")] ^= 1
    archive.write_bytes(content)
    with pytest.raises(BundleError, match=r"tiny-1.0-py3-none-any.whl is not the file"):
        install(archive, tmp_path / "venv", quiet)
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match="damaged"):
        install(archive, tmp_path / "venv", quiet)
    assert not (tmp_path / "venv").exists()
    assert not list(tmp_path.glob(".omero-hcs-*"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"schema_version": 2, "files": {}, "unpacked_bytes": 1}', "format 2, and 1 is"),
        ('{"schema_version": 1, "files": {"x": {}}}', "cannot be read"),
        ('{"schema_version": 1, "files": {}, "unpacked_bytes": "1"}', "not as it should be"),
    ],
)
def test_a_manifest_that_is_none_or_newer_is_told(text, told):
    with pytest.raises(BundleError, match=told):
        bundled_setup.read_manifest(text.encode())


def test_a_bundle_for_another_python_is_told_with_the_mend(archive, monkeypatch, tmp_path):
    monkeypatch.setattr(bundled_setup, "this_machine", lambda: ("3.12", "Linux x86_64"))
    with pytest.raises(BundleError, match=r"Start it with python3\.\d+, or make a bundle"):
        install(archive, tmp_path / "venv", quiet)


def test_a_full_disk_is_told_before_anything_is_unpacked(archive, monkeypatch, tmp_path, folder):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 10))
    with pytest.raises(BundleError, match="free, and this needs"):
        install(archive, tmp_path / "venv", quiet)
    with pytest.raises(InputError, match="a bundle needs about"):
        make_bundle(tmp_path / "c.tar", BundleParts())
    assert not (tmp_path / "c.tar").exists()


def test_a_folder_that_is_no_environment_is_left_alone(archive, tmp_path):
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "thesis.txt").write_text("mine")
    with pytest.raises(BundleError, match="is no Python environment"):
        install(archive, tmp_path / "venv", quiet)
    assert (tmp_path / "venv" / "thesis.txt").read_text() == "mine"


def test_a_bundle_installs_without_a_network_and_by_its_own_installer(archive, tmp_path, capsys):
    venv = tmp_path / "venv"
    assert run(["install", "--bundle", str(archive), "--venv", str(venv)]) == 0
    said = capsys.readouterr().out
    assert "omero-hcs says hello" in said
    assert f"omero-hcs {manifest_of(archive)['version']} is in {venv}" in said
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    (installer,) = (tmp_path / "unpacked").glob("*/install.py")
    done = subprocess.run(  # the plain installer needs no omero-hcs, and no site-packages at all
        [sys.executable, "-I", "-S", installer, "--venv", venv],
        capture_output=True, text=True, env={**os.environ, **NO_NETWORK}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "omero-hcs says hello" in done.stdout
    (installer.parent / "INSTALL.txt").write_text("other")
    done = subprocess.run(
        [sys.executable, installer, "--venv", venv], capture_output=True, text=True
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "INSTALL.txt is not the file" in done.stderr


def test_an_environment_that_could_not_be_filled_is_removed(archive, tmp_path, monkeypatch):
    def fail(venv, *command):
        assert venv.is_dir()
        raise BundleError(command[-1])

    monkeypatch.setattr(bundled_setup, "_make", lambda venv: venv.mkdir())
    monkeypatch.setattr(bundled_setup, "_run", fail)
    with pytest.raises(BundleError, match=r"tiny-1\.0-py3-none-any\.whl"):
        install(archive, tmp_path / "venv", quiet)
    assert not (tmp_path / "venv").exists()


def test_what_does_not_fit_is_said_at_once(tmp_path):
    (tmp_path / "there.tar").touch()
    parts = BundleParts(("omero", "nonsense"), weights=(tmp_path / "w.txt",))
    with pytest.raises(InputErrors) as caught:
        make_bundle(tmp_path / "there.tar", parts)
    assert len(caught.value.faults) == 3
    assert "There is no extra nonsense" in caught.value.faults[0]


def test_cpu_asks_pytorchs_index_and_pips_reason_is_told(tmp_path, monkeypatch):
    asked = []

    def pip(arguments, told):
        asked.append(arguments)
        if "--no-deps" in arguments:
            target = Path(arguments[2].partition("=")[2])
            write_wheel(target, "omero-hcs", "0.0.1", {})

    monkeypatch.setattr(wheelhouse, "_pip", pip)
    make_bundle(tmp_path / "b.tar", BundleParts(("ml",), cpu=True))
    assert f"--extra-index-url={wheelhouse.CPU_INDEX}" in asked[-1]
    assert asked[-1][-1].endswith(".whl[ml]")
    assert any(option.startswith("--constraint=") for option in asked[-1])
    monkeypatch.undo()
    with pytest.raises(WriteError, match="no such option: --nonsense"):
        wheelhouse._pip(["wheel", "--nonsense"], quiet)


def test_weights_of_ones_own_are_taken_along_with_their_digest(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "fill_wheelhouse", lambda *_, **__: None)
    (tmp_path / "resnet18.safetensors").write_bytes(TENSORS)
    parts = BundleParts(("ml",), weights=(tmp_path / "resnet18.safetensors",))
    make_bundle(tmp_path / "b.tar", parts)
    (weights,) = manifest_of(tmp_path / "b.tar")["weights"]
    assert weights["file"] == "weights/resnet18.safetensors"
    assert weights["sha256"] == hashlib.sha256(TENSORS).hexdigest()


@pytest.mark.parametrize(
    ("files", "metadata", "licence"),
    [
        ({}, "License-Expression: MIT", "MIT"),
        ({}, "Classifier: License :: OSI Approved :: BSD License", "BSD License"),
        ({}, "License: GPL-2.0", "GPL-2.0"),
        ({"LICENSE": "\n Apache License\n Version 2.0\n"}, "License: UNKNOWN", "Apache License, V"),
        ({}, "License: UNKNOWN", "not stated"),
    ],
)
def test_a_licence_is_told_as_the_package_states_it(tmp_path, files, metadata, licence):
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr("x.dist-info/METADATA", f"Name: x\nVersion: 1\n{metadata}\n")
        for name, text in files.items():
            archive.writestr(f"x.dist-info/{name}", text)
    assert look_at(tmp_path / "x.whl").licence.startswith(licence)


def test_an_installed_package_becomes_a_wheel_again(tmp_path):
    path = repacked("zeroc-ice", tmp_path)
    look = look_at(path)
    assert (look.name, look.version) == ("zeroc-ice", importlib.metadata.version("zeroc-ice"))
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    assert any(name.startswith("IcePy.") for name in names)
    assert not [name for name in names if ".." in name or "__pycache__" in name]
    again = repacked("zeroc-ice", tmp_path)
    assert again.read_bytes() == path.read_bytes()
    with pytest.raises(NotFoundError, match="in a way that no wheel"):
        repacked("omero-hcs", tmp_path)
    with pytest.raises(NotFoundError, match="not installed"):
        repacked("no-such-package", tmp_path)


@pytest.mark.slow
def test_base_and_omero_install_offline_and_read_every_script(tmp_path, capsys):
    """The whole way, with real packages: 75 of them, about 260 MB."""
    out, venv = tmp_path / "b.tar", tmp_path / "venv"
    assert run(["bundle", str(out), "--extras", "omero"]) == 0
    with pytest.MonkeyPatch.context() as patch:
        for name, value in NO_NETWORK.items():
            patch.setenv(name, value)
        assert run(["install", "--bundle", str(out), "--venv", str(venv)]) == 0
    said = capsys.readouterr().out
    assert "No broken requirements found." in said
    assert said.count(" inputs") == len(list(Path("omero_scripts/hcs").glob("*.py")))
    python = [
        venv / "bin" / "python",
        "-c",
        "import importlib.util as u; print(u.find_spec('torch'))",
    ]
    assert subprocess.run(python, capture_output=True, text=True).stdout == "None\n"
    done = subprocess.run([venv / "bin" / "omero-hcs", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    # An installation makes of itself the wheel that it was installed from.
    code = "import sys, pathlib; from omero_hcs.tasks.wheelhouse import repacked as again; "
    python = [venv / "bin" / "python", "-c", f"{code}print(again('omero-hcs', pathlib.Path()))"]
    made = subprocess.run(python, capture_output=True, text=True, cwd=tmp_path).stdout.strip()
    with tarfile.open(out) as tar, zipfile.ZipFile(tmp_path / made) as here:
        (name,) = (name for name in tar.getnames() if "wheels/omero_hcs-" in name)
        with zipfile.ZipFile(io.BytesIO(tar.extractfile(name).read())) as there:
            assert sorted(here.namelist()) == sorted(there.namelist())
