"""Key pairs, certificates and signed assertions, made afresh for every run."""

import time
import uuid
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A private key and the certificate that goes with it."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def generate(cls, name: str, issuer: "Pair | None" = None) -> "Pair":
        """A new pair, whose certificate is signed by the issuer or by itself."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls(key, _certificate(key, name, issuer))

    def key_pem(self, passphrase: str | None = None) -> str:
        lock = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        pkcs8 = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, pkcs8, lock).decode()

    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def pfx(self, passphrase: str, chain: "tuple[Pair, ...]" = ()) -> bytes:
        lock = BestAvailableEncryption(passphrase.encode())
        others = [pair.certificate for pair in chain] or None
        return pkcs12.serialize_key_and_certificates(b"app", self.key, self.certificate, others, lock)

    def names(self) -> list[str]:
        """How an assertion's header can call the certificate: `x5t`, `x5t#S256`, `x5c`."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        thumbprints = (urlsafe_b64encode(self.certificate.fingerprint(hash())) for hash in (hashes.SHA1, hashes.SHA256))
        return [name.rstrip(b"=").decode() for name in (*thumbprints, b64encode(der))]

    def sha1(self) -> str:
        """What Entra's portal shows as the thumbprint, and what MSAL calls one."""
        return self.certificate.fingerprint(hashes.SHA1()).hex()

    def x5t(self) -> str:
        return urlsafe_b64encode(self.certificate.fingerprint(hashes.SHA1())).rstrip(b"=").decode()

    def jwk(self) -> dict:
        return jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)

    def jwks(self, kid: str) -> dict:
        return {"keys": [{**self.jwk(), "kid": kid, "use": "sig", "alg": "RS256"}]}


def assertion(key: rsa.RSAPrivateKey, header: dict, *, issuer: str, subject: str, audience: str, age: int = 0) -> str:
    """An assertion that lives ten minutes and was made `age` seconds ago."""
    made = int(time.time()) - age
    claims = {"iss": issuer, "sub": subject, "aud": audience, "jti": str(uuid.uuid4())}
    times = {"iat": made, "nbf": made, "exp": made + 600}
    return jwt.encode({**claims, **times}, key, algorithm="RS256", headers=header)


def _certificate(key: rsa.RSAPrivateKey, name: str, issuer: Pair | None) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
