"""zeroc-ice is looked for in an order; here with tiny wheels, temporary homes and no network."""

from __future__ import annotations

import importlib.util
import io
import os
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import venv
import zipfile
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"
PLATFORM = sysconfig.get_platform().replace("-", "_").replace(".", "_")
NAME = f"zeroc_ice-3.6.5-{TAG}-{TAG}-{PLATFORM}.whl"
INFO = "zeroc_ice-3.6.5.dist-info"
ICE = "def stringVersion():\n    return '3.6.5'\n"
# What the build is replaced by. It is given the folder that the wheel goes to.
BUILDER = "import shutil, sys, os\nos.makedirs(sys.argv[1])\nshutil.copy({wheel!r}, sys.argv[1])\n"
FAILING_BUILDER = "import sys\nprint('openssl/ssl.h: no such file')\nsys.exit(1)\n"
ENDLESS_BUILDER = """
import os, subprocess, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
folder.mkdir()
(folder / {name!r}).write_bytes(b"half a wheel")
compiler = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path({ready!r}).with_suffix(".part").write_text(str(compiler.pid))
Path({ready!r}).with_suffix(".part").rename({ready!r})
time.sleep(600)
"""


@pytest.fixture(scope="module")
def pip(tmp_path_factory):
    """A folder with pip in it: a Python that runs tests need not have it."""
    folder = tmp_path_factory.mktemp("pip")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return next(folder.glob("lib/python*/site-packages"))


@pytest.fixture
def python(pip, tmp_path):
    """The Python of an environment with pip and nothing else."""
    return environment(tmp_path / "environment", pip)


def environment(folder, pip):
    venv.create(folder, symlinks=True)
    (next(folder.glob("lib/python*/site-packages")) / "pip.pth").write_text(f"{pip}\n")
    return folder / "bin" / "python"


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """The tool, in a home of its own; nothing is published, and a build fails."""
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "scratch").mkdir()
    spec = importlib.util.spec_from_file_location("zeroc_ice", TOOLS / "zeroc_ice.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RELEASES", {})
    monkeypatch.setattr(module, "can_compile", lambda: True)
    monkeypatch.setattr(module, "BUILDER", written(tmp_path / "build.py", FAILING_BUILDER))
    yield module
    monkeypatch.setattr("tempfile.tempdir", None)


def written(path, text):
    path.write_text(text)
    return path


def make_wheel(folder, origin, *, ice=ICE, name=NAME):
    """A wheel of an Ice that knows only its version and where it is from."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "Ice.py": f"{ice}origin = {origin!r}\n",
        "Glacier2.py": "",
        "IceStorm.py": "",
        f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: zeroc-ice\nVersion: 3.6.5\n",
        f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nTag: {TAG}-{TAG}-{PLATFORM}\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{INFO}/RECORD"])
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in {**files, f"{INFO}/RECORD": record}.items():
            archive.writestr(path, text)
    return folder / name


def origin(python):
    """Where the Ice that is installed is from; None where there is none."""
    code = "import Ice; print(Ice.origin)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() or None


def builds(tool, tmp_path, wheel):
    tool.BUILDER.write_text(BUILDER.format(wheel=str(wheel)))


class Answer(io.BytesIO):
    def __init__(self, content, url):
        super().__init__(content)
        self.url = url


def publish(tool, monkeypatch, answer):
    here = (tool.platform.system(), tool.platform.machine())
    monkeypatch.setattr(tool, "RELEASES", {here: ("some-repository", "20240202", PLATFORM)})
    monkeypatch.setattr(tool, "RELEASED_FOR", (TAG,))
    monkeypatch.setattr(tool.urllib.request, "urlopen", answer)


def test_what_is_installed_is_left_alone(tool, python, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMERO_HCS_WHEELS", str(tmp_path / "mine"))
    wheel = make_wheel(tmp_path / "elsewhere", "installed before")
    subprocess.run([python, "-m", "pip", "install", "-qq", "--no-index", wheel], check=True)
    make_wheel(tmp_path / "mine", "found")
    tool.install(python)
    assert origin(python) == "installed before"
    assert capsys.readouterr().out == ""


def test_the_users_folder_comes_before_the_cache(tool, python, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMERO_HCS_WHEELS", str(tmp_path / "mine"))
    wheel = make_wheel(tmp_path / "mine", "the user's folder")
    make_wheel(tool.cache(), "the cache")
    tool.install(python)
    assert origin(python) == "the user's folder"
    assert capsys.readouterr().out == f"Set-up: zeroc-ice from {wheel}.\n"


def test_a_folder_without_a_wheel_is_named(tool, python, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMERO_HCS_WHEELS", str(tmp_path / "mistyped"))
    make_wheel(tool.cache(), "the cache")
    tool.install(python)
    assert origin(python) == "the cache"
    words = f"{tmp_path / 'mistyped'}, named by OMERO_HCS_WHEELS, has no zeroc-ice 3.6.5 for {TAG}"
    assert words in capsys.readouterr().out


def test_the_cache_comes_before_the_network(tool, python, monkeypatch):
    def unexpected(*_, **__):
        pytest.fail("the network was asked")

    publish(tool, monkeypatch, unexpected)
    make_wheel(tool.cache(), "the cache")
    tool.install(python)
    assert origin(python) == "the cache"


def test_the_cache_is_where_the_user_keeps_caches(tool, monkeypatch, tmp_path):
    assert tool.cache() == tmp_path / "caches" / "omero-hcs" / "wheels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert tool.cache() == tmp_path / "home" / ".cache" / "omero-hcs" / "wheels"


def test_a_wheel_for_another_python_is_not_looked_at(tool, python, tmp_path, capsys):
    make_wheel(tool.cache(), "the cache", name=NAME.replace(TAG, "cp39"))
    builds(tool, tmp_path, make_wheel(tmp_path / "elsewhere", "the build"))
    tool.install(python)
    assert origin(python) == "the build"
    assert "passed over" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "invalid"),
        (
            lambda path: make_wheel(path.parent, "broken", ice="import libssl_of_old\n"),
            "libssl_of_old",
        ),
        (
            lambda path: make_wheel(path.parent, "old", ice=ICE.replace("3.6.5", "3.7.1")),
            "Assertion",
        ),
    ],
    ids=["truncated", "not to be imported", "another Ice"],
)
def test_a_broken_wheel_is_passed_over(tool, python, tmp_path, capsys, damage, words):
    damage(make_wheel(tool.cache(), "the cache"))
    builds(tool, tmp_path, make_wheel(tmp_path / "elsewhere", "the build"))
    tool.install(python)
    passed = [line for line in capsys.readouterr().out.splitlines() if "passed over" in line]
    assert len(passed) == 1
    assert str(tool.cache() / NAME) in passed[0]
    assert words in passed[0]
    assert origin(python) == "the build"


def test_nothing_is_left_of_a_wheel_that_does_not_work(tool, python):
    make_wheel(tool.cache(), "the cache", ice="import libssl_of_old\n")
    with pytest.raises(tool.NotAvailableError):
        tool.install(python)
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True)
    assert "zeroc" not in listed.stdout


def test_the_published_wheel_is_kept_for_the_next_time(tool, python, tmp_path, monkeypatch, capsys):
    content = make_wheel(tmp_path / "elsewhere", "the release").read_bytes()
    asked = []

    def answer(url, timeout):
        asked.append(url)
        return Answer(content, "https://objects.githubusercontent.com/1/2")

    publish(tool, monkeypatch, answer)
    tool.install(python)
    releases = "https://github.com/glencoesoftware/some-repository/releases/download"
    assert asked == [f"{releases}/20240202/{NAME}"]
    assert origin(python) == "the release"
    assert (tool.cache() / NAME).read_bytes() == content
    assert "as Glencoe Software publishes it" in capsys.readouterr().out


UNKNOWN = OSError(-2, "Name or service not known")


def no_network(*_, **__):
    raise urllib.error.URLError(UNKNOWN)


def in_the_clear(*_, **__):
    return Answer(b"anything", "http://objects.githubusercontent.com/1/2")


@pytest.mark.parametrize(
    ("answer", "words"),
    [(no_network, "com: [Errno -2] Name or service not known"), (in_the_clear, "not HTTPS")],
)
def test_what_cannot_be_fetched_is_built(
    tool, python, tmp_path, monkeypatch, capsys, answer, words
):
    publish(tool, monkeypatch, answer)
    builds(tool, tmp_path, make_wheel(tmp_path / "elsewhere", "the build"))
    tool.install(python)
    lines = capsys.readouterr().out.splitlines()
    assert words in lines[0]
    assert "building zeroc-ice 3.6.5 from source" in lines[1]
    assert "zeroc-ice built from source" in lines[2]
    assert origin(python) == "the build"


def test_a_build_is_done_once(tool, python, pip, tmp_path):
    builds(tool, tmp_path, make_wheel(tmp_path / "elsewhere", "the build"))
    tool.install(python)
    tool.BUILDER.write_text(FAILING_BUILDER)
    second = environment(tmp_path / "second", pip)
    tool.install(second)
    assert origin(second) == "the build"
    assert [path.name for path in tool.cache().iterdir()] == [NAME]


def test_a_cache_that_cannot_be_written_is_no_obstacle(tool, python, tmp_path, capsys):
    (tmp_path / "caches").write_text("a file, where a folder should be")
    builds(tool, tmp_path, make_wheel(tmp_path / "elsewhere", "the build"))
    tool.install(python)
    assert origin(python) == "the build"
    assert f"could not keep it in {tool.cache()}" in capsys.readouterr().out


def test_a_build_that_fails_says_why_and_what_to_do(tool, python):
    with pytest.raises(tool.NotAvailableError) as failure:
        tool.install(python)
    assert "openssl/ssl.h: no such file" in str(failure.value)
    assert "sudo apt-get install g++ libssl-dev libbz2-dev" in str(failure.value)
    assert "OMERO_HCS_WHEELS" in str(failure.value)
    assert not tool.cache().exists()


def test_without_a_compiler_nothing_is_begun(tool, python, monkeypatch, capsys):
    monkeypatch.setattr(tool, "can_compile", lambda: False)
    monkeypatch.setattr(tool.debian, "may_install", lambda: False)
    with pytest.raises(tool.NotAvailableError, match="has to be built, but cannot be"):
        tool.install(python)
    assert "building" not in capsys.readouterr().out


def test_root_on_debian_is_given_what_a_build_needs(tool, python, tmp_path, monkeypatch):
    installed = []
    monkeypatch.setattr(tool, "can_compile", lambda: False)
    monkeypatch.setattr(tool, "has_python_headers", lambda: False)
    monkeypatch.setattr(tool.debian, "may_install", lambda: True)
    monkeypatch.setattr(tool.debian, "install", lambda *names: installed.extend(names))
    builds(tool, tmp_path, make_wheel(tmp_path / "elsewhere", "the build"))
    tool.install(python)
    dev = f"python{sys.version_info.major}.{sys.version_info.minor}-dev"
    assert installed == ["g++", "libssl-dev", "libbz2-dev", dev]


def test_a_compiler_that_is_not_there_is_noticed(tool, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("CXX", "/no/such/compiler")
    assert not tool.can_compile()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(tool, python, tmp_path, ending):
    ready = tmp_path / "ready"
    tool.BUILDER.write_text(ENDLESS_BUILDER.format(name=NAME, ready=str(ready)))
    code = (
        "import pathlib, signal, sys; import zeroc_ice\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
        "zeroc_ice.RELEASES, zeroc_ice.BUILDER = {}, pathlib.Path(sys.argv[2])\n"
        "zeroc_ice.can_compile = lambda: True\n"
        "zeroc_ice.install(pathlib.Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", code, str(python), str(tool.BUILDER)]
    env = {**os.environ, "PYTHONPATH": str(TOOLS)}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE) as process:
        until(ready.exists)
        process.send_signal(ending)
        process.communicate(timeout=60)
    assert process.returncode != 0
    until(lambda: not running(int(ready.read_text())))
    assert not tool.cache().exists()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert origin(python) is None


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
