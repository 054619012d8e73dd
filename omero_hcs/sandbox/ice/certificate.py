"""A certificate that a sandbox makes for itself: its clients encrypt, and check nobody."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    pkcs12,
)
from cryptography.x509.oid import NameOID

VALID = timedelta(days=30)
BITS = 2048


@dataclass(frozen=True)
class Certificate:
    """A PKCS#12 file with key and certificate, and the password that opens it."""

    path: Path
    password: str = field(repr=False)


def make_certificate(path: Path) -> Certificate:
    """Make a key and a certificate for `localhost`, valid for thirty days."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
        .sign(key, SHA256())
    )
    password = secrets.token_urlsafe()
    encryption = BestAvailableEncryption(password.encode())
    path.touch(mode=0o600)
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"sandbox", key, certificate, None, encryption)
    )
    return Certificate(path, password)
