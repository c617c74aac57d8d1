"""An authority, and the certificates that it signs.

The control plane on one's own machine has one, and so has the operator's conversion webhook, which needs no
cert-manager for that reason.

They use elliptic-curve keys (P-256) and SHA-256, and are made by the `cryptography` package. Rejected: the `openssl`
command, which a machine with only Python and Git may not have, and which needs keys in files; kube-apiserver's own
self-signed certificate, which could not be verified before it was made, and cannot sign client certificates; and DER
by hand.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_LIFE = timedelta(days=3650)
_LEAF_LIFE = timedelta(days=365)
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """A text without the key."""
        return "KeyPair(…)"


def validity(certificate: bytes) -> tuple[datetime, datetime]:
    """From when to when a certificate in PEM is valid.

    Raises:
        ValueError: it is not a certificate.
    """
    found = x509.load_pem_x509_certificate(certificate)
    return found.not_valid_before_utc, found.not_valid_after_utc


def matches(pair: KeyPair) -> bool:
    """Whether a pair is a certificate and the key that belongs to it."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        return _load(pair.key).public_key() == certificate.public_key()
    except (ValueError, TypeError):
        return False


def signs(authority: bytes, certificate: bytes, names: Sequence[str]) -> bool:
    """Whether an authority has signed a certificate for all of these names. All of them are in PEM.

    Raises:
        ValueError: one of them is not a certificate.
    """
    found, issuer = x509.load_pem_x509_certificate(certificate), x509.load_pem_x509_certificate(authority)
    try:
        found.verify_directly_issued_by(issuer)
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, TypeError, ValueError, x509.ExtensionNotFound):
        return False
    return all(_alternative(name) in alternatives for name in names)


def new_key() -> bytes:
    """A new private key in PEM. kube-apiserver also signs service account tokens with such a key."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


class Authority:
    """Signs the certificates of one control plane or one webhook.

    Args:
        pair: the certificate and the key, for example from `Authority.create().pair`.
    """

    def __init__(self, pair: KeyPair) -> None:
        self.pair = pair
        self._certificate = x509.load_pem_x509_certificate(pair.certificate)
        self._key = _load(pair.key)

    @classmethod
    def create(cls, name: str, *, now: datetime | None = None) -> Authority:
        """A new authority of this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name, ())
        builder = _builder(subject, subject, key.public_key(), now or datetime.now(UTC), _AUTHORITY_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
        certificate = builder.sign(key, hashes.SHA256())
        return cls(KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key)))

    def client(self, user: str, groups: Sequence[str] = (), *, now: datetime | None = None) -> KeyPair:
        """A client certificate with which the API server recognises this user, in these groups."""
        return self._issue(_name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, (), now)

    def server(self, names: Sequence[str], *, now: datetime | None = None) -> KeyPair:
        """A certificate for a server with these host names and IP addresses."""
        return self._issue(_name(names[0], ()), ExtendedKeyUsageOID.SERVER_AUTH, names, now)

    def _issue(
        self, subject: x509.Name, usage: x509.ObjectIdentifier, names: Sequence[str], now: datetime | None
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(
            subject, self._certificate.subject, key.public_key(), now or datetime.now(UTC), _LEAF_LIFE
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(sign_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(authority_id, critical=False)
        if names:
            alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str, organizations: Sequence[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # To sign service account tokens, kube-apiserver needs a key in the traditional form ("EC PRIVATE KEY").
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _load(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("it is not an elliptic-curve key")
    return key
