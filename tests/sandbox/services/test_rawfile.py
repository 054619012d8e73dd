"""RawFileStore: the bytes of files, their hashes, and who may touch them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from concurrent.futures import ThreadPoolExecutor

import omero
import pytest
from omero.model import ChecksumAlgorithmI, OriginalFileI
from omero.rtypes import rstring


def new_file(conn, hasher="SHA1-160"):
    row = OriginalFileI()
    row.name, row.path = rstring("a file"), rstring("/somewhere")
    if hasher is not None:
        row.hasher = ChecksumAlgorithmI()
        row.hasher.value = rstring(hasher)
    return conn.getUpdateService().saveAndReturnObject(row, conn.SERVICE_OPTS).id.val


@contextlib.contextmanager
def opened(conn, file_id):
    store = conn.c.sf.createRawFileStore()
    try:
        store.setFileId(file_id)
        yield store
    finally:
        store.close()


def stored(conn, file_id):
    return conn.getQueryService().get("OriginalFile", file_id)


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 300_001])
def test_the_client_gets_back_what_it_uploaded(omero_conn, tmp_path, size):
    content = os.urandom(size)
    sent, got = tmp_path / "sent.bin", tmp_path / "got.bin"
    sent.write_bytes(content)
    row = omero_conn.c.upload(str(sent))
    kept = stored(omero_conn, row.id.val)
    assert kept.size.val == size
    assert kept.hash.val == hashlib.sha1(content).hexdigest()  # noqa: S324  (OMERO's hash)
    omero_conn.c.download(kept, str(got))
    assert got.read_bytes() == content


def test_the_gateway_attaches_a_file(omero_conn, tmp_path):
    content = os.urandom(3_000_001)
    (tmp_path / "table.csv").write_bytes(content)
    made = omero_conn.createFileAnnfromLocalFile(str(tmp_path / "table.csv"), mimetype="text/csv")
    found = omero_conn.getObject("FileAnnotation", made.getId()).getFile()
    assert found.getName() == "table.csv"
    assert found.getSize() == len(content)
    assert found.getHash() == hashlib.sha1(content).hexdigest()  # noqa: S324
    assert b"".join(found.getFileInChunks()) == content


def test_a_new_file_is_not_there_until_it_is_touched(omero_conn):
    with opened(omero_conn, new_file(omero_conn)) as store:
        assert not store.exists()
        assert store.size() == 0
        assert store.exists()
        store.write(b"abc", 0, 2)
        assert store.read(0, 2) == b"ab"


def test_reading_past_the_end_gives_zeros(omero_conn):
    file_id = new_file(omero_conn)
    with opened(omero_conn, file_id) as store:
        store.write(b"hello", 3, 5)
        assert store.read(0, 10) == b"\0\0\0hello\0\0"
        assert store.read(100, 3) == bytes(3)
        assert store.getFileId().val == file_id


def test_truncating(omero_conn):
    file_id = new_file(omero_conn)
    with opened(omero_conn, file_id) as store:
        store.write(b"0123456789", 0, 10)
        assert not store.truncate(10)
        assert not store.truncate(11)
        assert store.size() == 10
        assert store.truncate(4)
        assert store.save().size.val == 4
        assert store.save() is None
    assert stored(omero_conn, file_id).size.val == 4


def test_a_file_of_more_than_two_gigabytes(omero_conn):
    place = 3 << 30
    with opened(omero_conn, new_file(omero_conn, hasher=None)) as store:
        store.write(b"far", place, 3)
        assert store.size() == place + 3
        assert store.read(place - 2, 5) == b"\0\0far"
        assert store.save().size.val == place + 3
        assert store.truncate(0)


CONTENT = b"some bytes"


@pytest.mark.parametrize(
    ("hasher", "expected"),
    [
        ("SHA1-160", hashlib.sha1(CONTENT).hexdigest()),  # noqa: S324
        ("MD5-128", hashlib.md5(CONTENT).hexdigest()),  # noqa: S324
        ("CRC-32", f"{zlib.crc32(CONTENT):08x}"),
        ("Adler-32", f"{zlib.adler32(CONTENT):08x}"),
        ("File-Size-64", f"{len(CONTENT):016x}"),
        (None, None),
    ],
)
def test_closing_hashes_with_the_hasher_of_the_file(omero_conn, hasher, expected):
    file_id = new_file(omero_conn, hasher)
    with opened(omero_conn, file_id) as store:
        store.write(CONTENT, 0, len(CONTENT))
    kept = stored(omero_conn, file_id)
    assert kept.size.val == len(CONTENT)
    assert (None if kept.hash is None else kept.hash.val) == expected
    assert kept.mtime is not None


def test_many_write_one_file(omero_conn):
    file_id = new_file(omero_conn)
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(opened(omero_conn, file_id)) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            jobs = [
                pool.submit(stores[place % 6].write, bytes([place]) * 1000, place * 1000, 1000)
                for place in range(30)
            ]
            for job in jobs:
                job.result(timeout=60)
    with opened(omero_conn, file_id) as store:
        assert store.read(0, 30_000) == b"".join(bytes([place]) * 1000 for place in range(30))


def test_members_of_a_group_read_and_do_not_write(omero_conn, omero_second_conn):
    file_id = new_file(omero_conn)
    with opened(omero_conn, file_id) as store:
        store.write(CONTENT, 0, len(CONTENT))
    with opened(omero_second_conn, file_id) as store:
        assert store.read(0, len(CONTENT)) == CONTENT
        with pytest.raises(omero.SecurityViolation) as refused:
            store.write(b"no", 0, 2)
        assert refused.value.message == "File not writeable!"
        with pytest.raises(omero.SecurityViolation):
            store.truncate(0)
        assert store.save() is None
    assert stored(omero_conn, file_id).hash.val == hashlib.sha1(CONTENT).hexdigest()  # noqa: S324


def test_private_files_are_refused_and_missing_ones_too(
    omero_make_group, omero_make_user, omero_connect
):
    group = omero_make_group("private")
    owner, other = (omero_connect(omero_make_user(group)) for _ in range(2))
    store = other.c.sf.createRawFileStore()
    with pytest.raises(omero.SecurityViolation):
        store.setFileId(new_file(owner))
    with pytest.raises(omero.ValidationException):
        store.setFileId(1 << 40)
    store.close()


def test_a_store_without_a_file_is_refused(omero_conn):
    store = omero_conn.c.sf.createRawFileStore()
    for operation, arguments in (("size", ()), ("exists", ()), ("read", (0, 1))):
        with pytest.raises(omero.ApiUsageException) as refused:
            getattr(store, operation)(*arguments)
        assert "has not been properly initialized" in refused.value.message
    assert store.save() is None
    assert store.getFileId() is None
    store.close()


def test_lengths_that_make_no_sense_are_refused(omero_conn):
    with opened(omero_conn, new_file(omero_conn)) as store:
        with pytest.raises(omero.InternalException):
            store.read(0, -1)
        with pytest.raises(omero.InternalException):
            store.write(b"ab", 0, 3)
