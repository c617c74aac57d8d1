"""What one authority has signed is accepted, and nothing else is."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from troth.certificates import Authority, KeyPair, matches
from troth.dev.kubeconfig import kubeconfig, write_private


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("test authority")


def _store(authority: Authority) -> Store:
    return Store([x509.load_pem_x509_certificate(authority.pair.certificate)])


def test_a_server_certificate_is_good_for_its_names_only(authority: Authority) -> None:
    leaf = x509.load_pem_x509_certificate(authority.server(["localhost", "127.0.0.1"]).certificate)
    builder = PolicyBuilder().store(_store(authority))
    builder.build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])
    with pytest.raises(VerificationError):
        builder.build_server_verifier(x509.DNSName("example.com")).verify(leaf, [])
    with pytest.raises(VerificationError):
        builder.build_client_verifier().verify(leaf, [])


def test_a_client_certificate_carries_user_and_groups(authority: Authority) -> None:
    leaf = x509.load_pem_x509_certificate(authority.client("jane", ["admins", "people"]).certificate)
    assert [a.value for a in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["jane"]
    assert [a.value for a in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
        "admins",
        "people",
    ]
    assert isinstance(leaf.signature_hash_algorithm, SHA256)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_another_authority_is_not_believed(authority: Authority) -> None:
    stranger = Authority.create("test authority").server(["localhost"])
    verifier = PolicyBuilder().store(_store(authority)).build_server_verifier(x509.DNSName("localhost"))
    with pytest.raises(VerificationError):
        verifier.verify(x509.load_pem_x509_certificate(stranger.certificate), [])


def test_certificates_tolerate_a_clock_that_is_a_little_behind(authority: Authority) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    leaf = x509.load_pem_x509_certificate(authority.client("jane", now=now).certificate)
    assert leaf.not_valid_before_utc <= now - timedelta(minutes=1)
    assert leaf.not_valid_after_utc > now + timedelta(days=300)


def test_a_key_matches_its_own_certificate_only(authority: Authority) -> None:
    leaf = authority.server(["localhost"])
    assert matches(authority.pair)
    assert matches(leaf)
    for pair in (
        KeyPair(leaf.certificate, authority.pair.key),
        KeyPair(authority.pair.certificate, leaf.key),
        KeyPair(leaf.certificate, b"no key"),
        KeyPair(b"no certificate", leaf.key),
    ):
        assert not matches(pair)


def test_a_key_is_not_shown_by_accident(authority: Authority) -> None:
    assert "PRIVATE" not in repr(authority.pair)


def test_an_authority_goes_on_from_what_was_stored(authority: Authority) -> None:
    again = Authority(KeyPair(authority.pair.certificate, authority.pair.key))
    leaf = x509.load_pem_x509_certificate(again.server(["localhost"]).certificate)
    PolicyBuilder().store(_store(authority)).build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])


def test_a_kubeconfig_holds_everything_inline_and_is_private(authority: Authority, tmp_path: Path) -> None:
    user = authority.client("jane")
    text = kubeconfig(server="https://127.0.0.1:1", authority=authority.pair.certificate, user=user)
    path = write_private(tmp_path / "kubeconfig", text)
    document = yaml.safe_load(path.read_text())
    assert base64.b64decode(document["users"][0]["user"]["client-key-data"]) == user.key
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["kubeconfig"]
