"""The certificate of the conversion webhook is renewed long before it expires, and replaced when it cannot be used."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from troth.app.serving_certificate import Held, read_secret, renewed
from troth.certificates import KeyPair, signs, validity
from troth.kube.credentials import use_certificate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("troth.system.svc", "troth.system.svc.cluster.local")


@pytest.fixture(name="held", scope="module")
def _held() -> Held:
    made = renewed(None, NAMES, NOW)
    assert made is not None
    return made


def test_a_new_certificate_is_signed_for_its_names_and_stays(held: Held) -> None:
    assert signs(held.authority.certificate, held.serving.certificate, NAMES)
    assert renewed(held, NAMES, NOW) is None
    assert renewed(held, NAMES[:1], NOW + timedelta(days=200)) is None


def test_it_is_renewed_months_before_it_expires_by_the_same_authority(held: Held) -> None:
    later = NOW + timedelta(days=250)
    assert validity(held.serving.certificate)[1] - later > timedelta(days=100)
    new = renewed(held, NAMES, later)
    assert new is not None
    assert new.authority == held.authority
    assert signs(held.authority.certificate, new.serving.certificate, NAMES)
    assert validity(new.serving.certificate)[1] > later + timedelta(days=300)


def test_the_authority_is_renewed_years_before_it_expires(held: Held) -> None:
    assert renewed(held, NAMES, NOW + timedelta(days=3650 - 800)) is not None
    new = renewed(held, NAMES, NOW + timedelta(days=3650 - 700))
    assert new is not None
    assert new.authority != held.authority


@pytest.mark.parametrize("names", [("other.system.svc",), (*NAMES, "more"), ("127.0.0.1",)])
def test_another_name_gets_another_certificate(held: Held, names: tuple[str, ...]) -> None:
    new = renewed(held, names, NOW)
    assert new is not None
    assert new.authority == held.authority
    assert signs(held.authority.certificate, new.serving.certificate, names)


def test_what_cannot_be_used_is_replaced(held: Held) -> None:
    other = renewed(None, NAMES, NOW)
    assert other is not None
    for broken in (
        Held(KeyPair(b"x", b"y"), held.serving),
        Held(held.authority, KeyPair(b"x", b"y")),
        Held(KeyPair(held.authority.certificate, b"y"), other.serving),
        Held(other.authority, held.serving),
        Held(held.authority, KeyPair(held.serving.certificate, b"y")),
        Held(held.authority, KeyPair(held.serving.certificate, other.serving.key)),
        Held(KeyPair(held.authority.certificate, other.authority.key), held.serving),
    ):
        new = renewed(broken, NAMES, NOW)
        assert new is not None
        assert signs(new.authority.certificate, new.serving.certificate, NAMES)
        assert renewed(new, NAMES, NOW) is None
        use_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), new.serving.certificate, new.serving.key)


def test_a_secret_is_read_back_and_one_without_a_part_is_nothing(held: Held) -> None:
    data = {
        "ca.crt": held.authority.certificate,
        "ca.key": held.authority.key,
        "tls.crt": held.serving.certificate,
        "tls.key": held.serving.key,
    }
    encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    assert read_secret({"data": encoded}) == held
    assert read_secret({}) is None
    for name in data:
        assert read_secret({"data": {**encoded, name: "%%%"}}) is None
        assert read_secret({"data": {**encoded, name: None}}) is None
