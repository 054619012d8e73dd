"""The compose file: what docker would refuse, and what a facility would regret."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from omero_hcs.settings import Settings
from tests.docker.conftest import DOCKER, ROOT, VARIABLE, rendered

SECRET = re.compile(r"pass|secret|key|token", re.IGNORECASE)
OURS = {"processor", "processor-gpu", "tools", "worker"}
CONFIG = "CONFIG_"
PINNED = re.compile(r":\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$")


@pytest.fixture
def page():
    return (ROOT / "docs" / "how-to" / "docker.md").read_text(encoding="utf-8")


def check_schema(tmp_path, document):
    """Hold a document against the compose specification's own schema."""
    path = tmp_path / "compose.json"
    path.write_text(json.dumps(document))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, str(path)], capture_output=True, text=True)


@pytest.mark.parametrize("given", [{}, {"OMERO_WEB_PORT": "8443", "PROCESSOR_GPUS": "all"}])
def test_it_is_what_the_compose_specification_says(compose_text, example, tmp_path, given):
    for variables in (given, example | given):
        checked = check_schema(tmp_path, rendered(compose_text, variables))
        assert checked.returncode == 0, checked.stdout


def test_the_schema_does_find_faults(compose, tmp_path):
    services = compose["services"] | {"web": compose["services"]["web"] | {"prots": []}}
    assert check_schema(tmp_path, compose | {"services": services}).returncode == 1


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
def test_compose_itself_renders_it(compose_text, tmp_path):
    # Debian's compose, 1.29, knows all of it but the project's name.
    shutil.copytree(DOCKER, tmp_path / "docker")
    file = tmp_path / "docker" / "compose.yaml"
    file.write_text(re.sub(r"^name: .*\n", "", compose_text, flags=re.MULTILINE))
    shutil.copy(DOCKER / ".env.example", tmp_path / "docker" / ".env")
    profiles = [f"--profile={name}" for name in ("cpu", "gpu", "tools", "worker")]
    done = subprocess.run(
        ["docker-compose", "--file", str(file), *profiles, "config"],
        cwd=file.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_every_variable_is_explained_with_the_value_that_it_has_anyway(compose_text, example):
    used = {match["name"]: match["default"] for match in VARIABLE.finditer(compose_text)}
    assert used == {name: value for name, value in example.items() if name != "COMPOSE_PROFILES"}
    assert example["COMPOSE_PROFILES"] == "cpu"


def test_every_service_says_how_one_sees_that_it_works(services):
    assert {name for name, service in services.items() if not service.get("healthcheck")} == set()
    for service in services.values():
        assert service["healthcheck"]["test"][0] == "CMD"  # no shell
        assert {"interval", "timeout", "retries"} <= set(service["healthcheck"])


def test_a_service_waits_until_what_it_needs_is_well(services):
    for service in services.values():
        waits = service.get("depends_on", {})
        assert {on["condition"] for on in waits.values()} <= {"service_healthy"}
        assert set(waits) <= set(services)
    for name in OURS | {"web"}:
        assert set(services[name]["depends_on"]) == {"server"}
    assert set(services["server"]["depends_on"]) == {"database"}


def test_every_image_is_one_release(services):
    for service in services.values():
        assert PINNED.search(service["image"]), service["image"]
        for value in service.get("build", {}).get("args", {}).values():
            assert not value or PINNED.search(value), value


def test_our_images_are_of_this_release(services):
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    version = re.search(r"^version = (\S+)$", setup, re.MULTILINE)[1]
    assert {re.search(r":([\d.]+)", services[name]["image"])[1] for name in OURS} == {version}


def test_no_secret_is_in_the_environment_or_on_a_command_line(services, example):
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            assert not SECRET.search(name) or value.startswith("/run/secrets/"), name
        assert not SECRET.search(" ".join(service.get("command", [])))
    assert not any(SECRET.search(name) for name in example)


def test_secrets_are_files_that_exist_where_they_are_used(compose, services):
    assert all(secret["file"].startswith("./secrets/") for secret in compose["secrets"].values())
    for service in services.values():
        wanted = re.findall(r"/run/secrets/(\w+)", json.dumps(service.get("environment", {})))
        assert set(wanted) <= set(service.get("secrets", []))
        assert set(service.get("secrets", [])) <= set(compose["secrets"])


def test_only_omero_web_is_published_and_on_this_machine_alone(services):
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert list(ports) == ["web"]
    for port in ports["web"]:
        assert ipaddress.ip_address(port.split(":")[0]).is_loopback


def test_the_grid_that_trusts_everybody_is_in_a_network_of_its_own(compose, services):
    assert compose["networks"]["grid"]["internal"] is True
    inside = {name for name, service in services.items() if service["networks"] == ["grid"]}
    # A grid node publishes the addresses of all its networks: it has to be in one.
    assert inside == set(services) - {"web"}


def test_services_have_no_more_rights_than_they_need(services):
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["init"] is True, name
        assert "privileged" not in service, name
        assert "memory" in service["deploy"]["resources"]["limits"], name
        assert service["logging"]["options"]["max-size"], name
        # OMERO's own images write their configuration into themselves.
        assert service.get("read_only", False) is (name not in {"server", "web"}), name


def test_files_that_are_named_are_there(services, compose):
    for service in services.values():
        mounts = [volume.split(":")[0] for volume in service.get("volumes", [])]
        for mount in mounts:
            there = (DOCKER / mount).is_file() if mount.startswith(".") else True
            assert there, mount
            assert mount.startswith(".") or mount in compose["volumes"], mount
        if "build" in service:
            context = (DOCKER / service["build"]["context"]).resolve()
            assert (context / service["build"]["dockerfile"]).is_file()
            assert context == ROOT


def test_exactly_one_processor_runs(services):
    processors = ("processor", "processor-gpu")
    assert {tuple(services[name]["profiles"]) for name in processors} == {("cpu",), ("gpu",)}
    devices = services["processor-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": "1", "capabilities": ["gpu"]}]


def test_omero_makes_of_the_descriptors_a_grid_whose_only_processor_is_ours(services):
    pytest.importorskip("omero", reason="the extra 'omero' is not installed")
    from omero.util._process_defaultxml import _process_xml  # noqa: PLC0415

    environment = services["server"]["environment"]
    grid = '<node name="master">\n<server-instance template="Glacier2Template"/>\n</node>'
    made = _process_xml(grid, environment["CONFIG_omero_server_nodedescriptors"])
    nodes = dict(re.findall(r'<node name="([\w-]+)">(.*?)</node>', made, re.DOTALL))
    assert set(nodes) == {"master", services["processor"]["environment"]["OMERO_NODE_NAME"]}
    assert re.findall(r'template="(\w+)Template"', nodes["processor"]) == ["Processor"]
    assert "Processor" not in nodes["master"]
    assert {"Blitz", "Tables", "Indexer", "PixelData", "FileServer", "Storm"} <= set(
        re.findall(r'template="(\w+)Template"', nodes["master"])
    )


def property_name(variable):
    """Name a property as OMERO's images do: in a variable "_" is a dot, "__" an underscore."""
    dotted = re.sub(r"([^_])_([^_])", r"\1.\2", variable.removeprefix(CONFIG))
    return dotted.replace("__", "_")


def test_properties_have_the_names_that_omero_knows(services):
    variables = [name for name in services["server"]["environment"] if name.startswith(CONFIG)]
    assert {property_name(name) for name in variables} == {
        "omero.db.host",
        "omero.db.user",
        "omero.db.name",
        "omero.master.host",
        "omero.server.nodedescriptors",
        "omero.upgrades.url",
        "omero.jvmcfg.system_memory",
    }


def test_the_processors_settings_are_valid(services):
    text = (DOCKER / "processor" / "omero-hcs.toml").read_text(encoding="utf-8")
    for line in (text, re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)):
        settings = Settings.model_validate(tomllib.loads(line))
        mounts = [volume.split(":")[1] for volume in services["processor"]["volumes"]]
        assert str(settings.state_dir.parent) in mounts
        assert str(settings.models_dir.parent) in mounts


def test_the_page_names_the_images_that_run(page, services):
    table = re.findall(r"^\| `(\w+)` \| `([\w./-]+:[\w.-]+)` \|", page, re.MULTILINE)
    assert dict(table) == {name: services[name]["image"] for name in ("database", "server", "web")}
    assert set(services) <= set(re.findall(r"`([\w-]+)`", page))


def test_what_the_page_sets_for_tls_is_what_omero_web_knows(page, compose, tmp_path):
    spec = importlib.util.find_spec("omeroweb")
    if spec is None:
        pytest.skip("the extra 'web' is not installed")
    known = (Path(spec.origin).parent / "settings.py").read_text(encoding="utf-8")
    override = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])
    (name,) = override["services"]
    for variable, value in override["services"][name]["environment"].items():
        assert f'"{property_name(variable)}"' in known, variable
        assert isinstance(value, str)
    both = compose["services"][name] | override["services"][name]
    checked = check_schema(tmp_path, compose | {"services": compose["services"] | {name: both}})
    assert checked.returncode == 0, checked.stdout
