from __future__ import annotations

import json
import logging
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs import logs
from omero_hcs.logs import JsonLines, log_to, redact

logger = logging.getLogger("omero_hcs.tests")

secrets = st.text(string.ascii_letters + string.digits + "-._~+/=!$%&*()", min_size=8, max_size=40)
blank_secrets = st.text(string.ascii_letters + string.digits + " ,;}@:/", min_size=8, max_size=40)
words = st.text(string.ascii_letters + " .:=/@-\n\"'{}", max_size=40)
names = st.sampled_from(
    [
        "password", "PASSWORD", "passwd", "token", "access_token", "HF_TOKEN", "secret",
        "client_secret", "api_key", "apikey", "session", "session_key", "sessionUuid",
        "OMERO_PASSWORD", "X-OMERO-Session",
    ]
)  # fmt: skip


class TestRedact:
    @given(words, names, st.sampled_from(["=", ": ", " = ", '": "', "': '"]), secrets, words)
    def test_a_named_secret_never_shows(self, before, name, sign, secret, after):
        secret = f"s3{secret}"  # in no other part of the text
        assert secret not in redact(f"{before} {name}{sign}{secret} {after}")

    @given(names, blank_secrets.map(str.strip).filter(lambda text: len(text) > 7))
    def test_all_of_a_quoted_secret_goes(self, name, secret):
        left = redact(json.dumps({name: secret, "plate": "51"}))
        assert secret not in left
        assert not any(word in left for word in secret.split() if len(word) > 7)
        assert '"plate": "51"' in left

    @given(words, st.uuids(), st.booleans(), st.sampled_from(["", "_", "x", '"', "/"]))
    def test_a_session_uuid_never_shows(self, before, uuid, upper, beside):
        text = str(uuid).upper() if upper else str(uuid)
        assert text not in redact(f"{before}{beside}{text}{beside}{before}")

    @given(st.sampled_from(["https", "omero", "s3"]), secrets, secrets)
    def test_credentials_in_a_url_never_show_and_the_host_does(self, scheme, user, password):
        left = redact(f"opening {scheme}://{user.replace('/', '')}:{password}@host.org/plate/51")
        if "/" not in password:
            assert left == f"opening {scheme}://***@host.org/plate/51"

    @pytest.mark.parametrize("kind", ["Bearer", "bearer", "Basic"])
    def test_the_token_of_a_header_never_shows(self, kind):
        assert "abc123" not in redact(f"Authorization: {kind} abc123==")
        assert "abc123" not in redact(f"{{'authorization': '{kind} abc123=='}}")

    def test_a_bearer_token_goes_wherever_it_is(self):
        assert redact("sent Bearer abc123 to the hub") == "sent Bearer *** to the hub"

    @pytest.mark.parametrize(
        "text",
        [
            "plate B03 field 2: 215 cells, focus 0.25",
            "/data/plates/2025-01-01/plate.zarr",
            "run 20250101T120000Z-0000aaaa resumed",
            "embedded 512 tokens: fine",
            "mail admin@host.org about https://host.org/plate/51",
            "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ],
    )
    def test_what_is_no_secret_stays(self, text):
        assert redact(text) == text

    def test_it_is_quick_on_long_texts(self):
        started = time.monotonic()
        redact("token" * 20_000 + "a" * 200_000 + "://" * 20_000 + '"' * 20_000)
        assert time.monotonic() - started < 20  # only against texts that never end


class TestJsonLines:
    def line(self, *args, **more):
        record = logger.makeRecord("omero_hcs.x", logging.INFO, "f", 1, *args, None, **more)
        return json.loads(JsonLines().format(record))

    def test_a_record_is_one_line_with_run_and_unit(self):
        entry = self.line("two\nlines of %d µm", (3,), extra={"run": "1", "unit": "A01/f0"})
        assert entry["message"] == "two\nlines of 3 µm"
        assert (entry["run"], entry["unit"], entry["level"]) == ("1", "A01/f0", "INFO")
        assert entry["logger"] == "omero_hcs.x"
        assert time.strptime(entry["time"], "%Y-%m-%dT%H:%M:%SZ")
        assert "worker" not in entry

    def test_secrets_go_from_arguments_too(self):
        assert "hunter2" not in str(self.line("login with %s", ("password=hunter2",)))


class TestFile:
    def entries(self, path):
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def test_what_we_log_inside_is_in_it_and_nothing_after(self, tmp_path):
        with log_to(tmp_path / "logs" / "run.jsonl") as path:
            logger.info("unit done", extra={"run": "1"})
            logger.debug("detail")
        logger.warning("too late")
        assert [entry["message"] for entry in self.entries(path)] == ["unit done"]

    def test_warnings_of_others_are_in_it_and_their_chatter_is_not(self, tmp_path):
        with log_to(tmp_path / "run.jsonl") as path:
            logging.getLogger("tifffile").warning("odd tag")
            logging.getLogger("tifffile").debug("chatter")
        assert [entry["logger"] for entry in self.entries(path)] == ["tifffile"]

    def test_the_level_can_be_chosen_and_is_put_back(self, tmp_path):
        before = logging.getLogger("omero_hcs").level
        with log_to(tmp_path / "run.jsonl", level="DEBUG") as path:
            logger.debug("detail")
        assert [entry["level"] for entry in self.entries(path)] == ["DEBUG"]
        assert logging.getLogger("omero_hcs").level == before

    def test_a_trace_is_kept_without_its_secrets(self, tmp_path):
        with log_to(tmp_path / "run.jsonl") as path:
            try:
                int("token=hunter2hunter2")
            except ValueError:
                logger.exception("the run failed")
        (entry,) = self.entries(path)
        assert "ValueError" in entry["trace"]
        assert "hunter2" not in path.read_text()

    def test_a_resumed_run_goes_on_in_the_same_file(self, tmp_path):
        for _ in range(2):
            with log_to(tmp_path / "run.jsonl") as path:
                logger.info("started")
        assert len(self.entries(path)) == 2

    def test_a_large_one_is_rotated_and_three_old_ones_are_kept(self, tmp_path, monkeypatch):
        monkeypatch.setattr(logs, "_LARGEST", 2_000)
        with log_to(tmp_path / "run.jsonl") as path:
            for number in range(100):
                logger.info("unit %d %s", number, "x" * 100)
        files = sorted(file.name for file in tmp_path.iterdir())
        assert files == ["run.jsonl", "run.jsonl.1", "run.jsonl.2", "run.jsonl.3"]
        assert all(file.stat().st_size <= 2_000 for file in tmp_path.iterdir())
        assert self.entries(path)[-1]["message"].startswith("unit 99")
