from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from omero_hcs import settings as module
from omero_hcs.errors import SettingsError
from omero_hcs.settings import Settings, config_files, load_settings


class WithSecret(Settings):
    password: SecretStr | None = None


@pytest.fixture
def layers(tmp_path, monkeypatch):
    """Files of every layer, and the environment that points to them; /etc is moved to a folder."""
    files = {name: tmp_path / name / "omero-hcs.toml" for name in ("etc", "home", "named")}
    for file in files.values():
        file.parent.mkdir()

    def moved(path="", *more):
        return files["etc"] if str(path) == "/etc/omero-hcs.toml" else Path(path, *more)

    monkeypatch.setattr(module, "Path", moved)
    environ = {"XDG_CONFIG_HOME": str(files["home"].parent)}
    return files, environ


class TestPrecedence:
    def test_without_anything_the_defaults_hold_and_say_so(self, layers):
        _files, environ = layers
        loaded = load_settings(environ=environ)
        assert (loaded.values.threads, loaded.values.device) == (0, "auto")
        assert {origin for _, _, origin in loaded.rows()} == {"default"}

    def test_each_layer_goes_before_the_ones_below_and_its_origin_is_told(self, layers):
        files, environ = layers
        files["etc"].write_text("threads = 1")
        steps = [(str(files["etc"]), 1)]
        assert [self._threads(environ)] == steps
        files["home"].write_text("threads = 2")
        assert self._threads(environ) == (str(files["home"]), 2)
        files["named"].write_text("threads = 3")
        environ["OMERO_HCS_CONFIG"] = str(files["named"])
        assert self._threads(environ) == (str(files["named"]), 3)
        environ["OMERO_HCS_THREADS"] = "4"
        assert self._threads(environ) == ("environment OMERO_HCS_THREADS", 4)
        assert self._threads(environ, {"threads": 5}) == ("command line", 5)

    def _threads(self, environ, overrides=None):
        loaded = load_settings(overrides, environ=environ)
        return loaded.origins["threads"], loaded.values.threads

    def test_layers_are_merged_value_by_value(self, layers):
        files, environ = layers
        files["etc"].write_text('threads = 1\ndevice = "cpu"')
        files["home"].write_text("threads = 2")
        loaded = load_settings({"log_level": "DEBUG", "device": None}, environ=environ)
        rows = {name: (value, origin) for name, value, origin in loaded.rows()}
        assert rows["threads"] == ("2", str(files["home"]))
        assert rows["device"] == ("cpu", str(files["etc"]))
        assert rows["log_level"] == ("DEBUG", "command line")
        assert rows["allow_hub"] == ("False", "default")

    def test_the_users_own_file_is_found_without_xdg(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        assert config_files({})[1] == tmp_path / ".config" / "omero-hcs.toml"

    def test_an_empty_variable_is_one_that_is_not_set(self, layers):
        files, environ = layers
        files["etc"].write_text("threads = 1")
        empty = dict.fromkeys(("OMERO_HCS_THREADS", "OMERO_HCS_STATE_DIR", "OMERO_HCS_CONFIG"), "")
        loaded = load_settings(environ=environ | empty)
        assert loaded.values.threads == 1
        assert loaded.values.state_dir == Settings().state_dir

    def test_variables_of_tests_and_of_set_up_are_no_settings(self, layers):
        _files, environ = layers
        environ |= {"OMERO_HCS_TEST_DATA": "/data", "OMERO_HCS_WHEELS": "/wheels"}
        assert load_settings(environ=environ).values == Settings()


class TestAssays:
    def test_an_assay_has_what_it_sets_and_the_rest_as_everywhere(self, layers):
        files, environ = layers
        files["etc"].write_text('[assays.neurons]\nfail = 0.4\nartefacts = ["debris"]')
        assay = load_settings(environ=environ).values.assays["neurons"]
        assert (assay.warn, assay.fail, assay.artefacts) == (0.2, 0.4, ("debris",))

    def test_a_users_file_adds_to_the_facilitys_and_each_origin_is_told(self, layers):
        files, environ = layers
        files["etc"].write_text("[assays.neurons]\nfail = 0.4\n[assays.hepg2]\nwarn = 0.1")
        files["home"].write_text("[assays.neurons]\nfail = 0.3")
        rows = {name: rest for name, *rest in load_settings(environ=environ).rows()}
        assert rows["assays.neurons"] == ["fail 0.3", str(files["home"])]
        assert rows["assays.hepg2"] == ["warn 0.1", str(files["etc"])]

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("wran = 0.1", "unknown setting 'wran' of assays.neurons. Known are: warn, fail"),
            ("warn = 0.6", "assays.neurons: warn (0.6) must not be above fail (0.5)."),
            ("plate_fail = 2", "assays.neurons.plate_fail: "),
            ("artefacts = []", "assays.neurons.artefacts: "),
        ],
    )
    def test_a_fault_names_the_assay_and_the_file(self, layers, line, told):
        files, environ = layers
        files["etc"].write_text(f"[assays.neurons]\n{line}")
        with pytest.raises(SettingsError) as caught:
            load_settings(environ=environ)
        assert str(caught.value).startswith(f"{files['etc']}: ")
        assert told in str(caught.value)


class TestInAScript:
    def test_only_the_file_in_etc_counts(self, layers):
        """A user of the server must not be able to point it at a file of his own."""
        files, environ = layers
        files["etc"].write_text("threads = 1")
        files["home"].write_text('threads = 2\ndevice = "cuda"')
        files["named"].write_text("threads = 3\nallow_hub = true")
        environ |= {
            "OMERO_HCS_CONFIG": str(files["named"]),
            "OMERO_HCS_THREADS": "4",
            "OMERO_HCS_STATE_DIR": "/tmp/mine",  # noqa: S108
        }
        loaded = load_settings(environ=environ, in_script=True)
        assert loaded.values == Settings(threads=1)
        assert set(loaded.origins.values()) == {str(files["etc"])}

    def test_faults_of_a_users_file_are_not_even_seen(self, layers):
        files, environ = layers
        files["home"].write_text("no toml at all [")
        environ["OMERO_HCS_CONFIG"] = "/no/such/file"
        assert load_settings(environ=environ, in_script=True).values == Settings()

    def test_what_a_script_starts_is_in_a_script_too(self, layers):
        _, environ = layers
        environ |= {"OMERO_HCS_THREADS": "4", "OMERO_HCS_IN_SCRIPT": "1"}
        assert load_settings(environ=environ).values == Settings()


class TestOffline:
    def test_whoever_is_offline_tells_the_hubs_library_and_what_it_starts(self, monkeypatch):
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        assert load_settings({"offline": False}).values.offline is False
        assert "HF_HUB_OFFLINE" not in os.environ
        assert load_settings({"offline": True}).values.allow_hub is False
        assert os.environ["HF_HUB_OFFLINE"] == "1"

    def test_a_hub_that_is_allowed_offline_is_refused_with_both_places(self, layers):
        files, environ = layers
        files["etc"].write_text("offline = true")
        environ["OMERO_HCS_ALLOW_HUB"] = "true"
        with pytest.raises(SettingsError) as caught:
            load_settings(environ=environ)
        assert str(caught.value) == (
            "offline and allow_hub are both on. Switch one of them off (set: offline by "
            f"{files['etc']}, allow_hub by environment OMERO_HCS_ALLOW_HUB)."
        )


class TestFaults:
    def test_unknown_keys_are_refused_with_their_place_and_the_known_ones(self, layers):
        files, environ = layers
        files["home"].write_text("treads = 2")
        environ["OMERO_HCS_DEVISE"] = "cpu"
        with pytest.raises(SettingsError) as caught:
            load_settings(environ=environ)
        text = str(caught.value)
        assert f"{files['home']}: unknown setting 'treads'" in text
        assert "environment OMERO_HCS_DEVISE: unknown setting 'devise'" in text
        assert "threads" in text

    def test_wrong_values_are_all_told_at_once_each_with_its_place(self, layers):
        files, environ = layers
        files["etc"].write_text('threads = "many"\nlog_level = "LOUD"')
        environ["OMERO_HCS_ALLOW_HUB"] = "perhaps"
        with pytest.raises(SettingsError) as caught:
            load_settings({"engine": "abacus"}, environ=environ)
        lines = str(caught.value).splitlines()
        assert len(lines) == 4
        assert {line.split(":")[0] for line in lines} == {
            str(files["etc"]), "environment OMERO_HCS_ALLOW_HUB", "command line",
        }  # fmt: skip
        assert any("threads" in line and "integer" in line for line in lines)

    def test_negative_threads_are_refused(self, layers):
        with pytest.raises(SettingsError, match="threads"):
            load_settings({"threads": -1}, environ=layers[1])

    def test_a_file_that_is_named_and_not_there_is_told(self, layers):
        with pytest.raises(SettingsError, match=r"OMERO_HCS_CONFIG names /no/such\.toml"):
            load_settings(environ={**layers[1], "OMERO_HCS_CONFIG": "/no/such.toml"})

    @pytest.mark.parametrize("content", [b"threads = ", b"\xff\xfe", b"threads = 1\nthreads = 2"])
    def test_a_file_that_is_no_toml_is_told_by_its_name(self, layers, content):
        files, environ = layers
        files["home"].write_bytes(content)
        with pytest.raises(SettingsError, match=f"{files['home']} cannot be read"):
            load_settings(environ=environ)


class TestFolders:
    def test_a_tilde_is_the_users_home(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        loaded = load_settings(environ={"OMERO_HCS_STATE_DIR": "~/hcs"})
        assert loaded.values.state_dir == tmp_path / "hcs"

    def test_a_relative_folder_is_made_whole(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        loaded = load_settings({"models_dir": "models"}, environ={})
        assert loaded.values.models_dir == tmp_path / "models"

    def test_the_home_of_nobody_is_refused(self):
        with pytest.raises(SettingsError, match="state_dir"):
            load_settings({"state_dir": "~no-such-user/x"}, environ={})


class TestLists:
    def test_a_file_lists_them_and_a_variable_separates_them_by_commas(self, layers):
        files, environ = layers
        files["home"].write_text('omero_role_keys = ["Control", "a, b"]')
        environ["OMERO_HCS_OMERO_DOSE_KEYS"] = " Dose , c,, "
        values = load_settings(environ=environ).values
        assert values.omero_role_keys == ("Control", "a, b")
        assert values.omero_dose_keys == ("Dose", "c")

    def test_they_are_shown_as_a_variable_takes_them(self, layers):
        _files, environ = layers
        environ["OMERO_HCS_OMERO_DOSE_KEYS"] = "Dose, c"
        rows = load_settings(environ=environ).rows()
        assert "Dose, c" in [value for name, value, _ in rows if name == "omero_dose_keys"]


class TestSecrets:
    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
    def test_a_file_with_one_that_others_can_read_is_refused_without_telling_it(self, layers, mode):
        files, environ = layers
        files["home"].write_text('password = "hunter2"')
        files["home"].chmod(mode)
        with pytest.raises(SettingsError, match=r"password.*chmod 600") as caught:
            load_settings(environ=environ, schema=WithSecret)
        assert "hunter2" not in str(caught.value)

    def test_in_a_closed_file_it_is_read_and_never_shown(self, layers):
        files, environ = layers
        files["home"].write_text('password = "hunter2"')
        files["home"].chmod(0o600)
        loaded = load_settings(environ=environ, schema=WithSecret)
        assert loaded.values.password.get_secret_value() == "hunter2"
        assert "hunter2" not in f"{list(loaded.rows())} {loaded!r} {loaded.values}"
        assert ("password", "**********", str(files["home"])) in list(loaded.rows())

    def test_a_file_without_one_may_be_read_by_all(self, layers):
        files, environ = layers
        files["home"].write_text("threads = 2")
        files["home"].chmod(0o644)
        assert load_settings(environ=environ, schema=WithSecret).values.threads == 2

    def test_a_faulty_value_beside_one_does_not_tell_it(self, layers):
        with pytest.raises(SettingsError) as caught:
            load_settings(
                {"password": ["hunter2"], "threads": "x"}, environ=layers[1], schema=WithSecret
            )
        assert "hunter2" not in str(caught.value)


def test_settings_cannot_be_changed_once_loaded():
    with pytest.raises(ValueError, match="frozen"):
        Settings().threads = 2


def test_every_setting_is_described():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    assert os.fspath(Settings().state_dir)
