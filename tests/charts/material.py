"""Files that a configuration names, made for a check."""

import json
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

PASSPHRASE = "a-passphrase"


@cache
def pair():
    """A certificate, good for a year, and its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "payroll")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365))
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("release-bursar.pay.svc")]), critical=False
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def certificate():
    return pair()[0].public_bytes(Encoding.PEM)


def key():
    return pair()[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pfx():
    return pkcs12.serialize_key_and_certificates(
        b"payroll", pair()[1], pair()[0], None, BestAvailableEncryption(PASSPHRASE.encode())
    )


def key_set():
    """The public key, as a cluster publishes its own."""
    numbers = pair()[1].public_key().public_numbers()
    word = {"n": numbers.n, "e": numbers.e}
    return {
        "keys": [
            {"kty": "RSA", "kid": "one"}
            | {name: encoded(number.to_bytes(256).lstrip(b"\0")) for name, number in word.items()}
        ]
    }


def account_token(issuer, audience, namespace, name):
    """A token of a service account, signed with the key."""
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": issuer, "aud": [audience], "iat": now, "nbf": now, "exp": now + 600}
    claims |= {"sub": f"system:serviceaccount:{namespace}:{name}"}
    claims |= {"kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": "1"}}}
    signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "one"}, claims))
    return f"{signed}.{encoded(pair()[1].sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def encoded(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def named(config):
    """The files that a configuration names: each path with what has to lie there."""
    server = config.get("server", {})
    files = {one["file"]: b"a-header-secret" for one in server.get("header_secret", [])}
    tls = server.get("tls", {})
    files |= {
        tls[name]: make()
        for name, make in (("cert", certificate), ("key", key), ("client_ca", certificate))
        if name in tls
    }
    for identity in config["identities"].values():
        for credential in identity.get("credentials", []):
            files |= of_credential(credential)
    for name, caller in config.get("callers", {}).items():
        proof = caller["proof"]
        origins = [proof, *proof.get("secrets", [])]
        files |= {one["file"]: f"secret-of-{name}".encode() for one in origins if "file" in one}
    return files


def of_credential(credential):
    files = {
        credential[name]["file"]: PASSPHRASE.encode()
        for name in ("passphrase", "bearer")
        if "file" in credential.get(name, {})
    }
    if credential["kind"] != "certificate":
        return files | ({credential["file"]: b"a-secret"} if "file" in credential else {})
    if credential["file"].endswith(".pfx"):
        return files | {credential["file"]: pfx()}
    if "key" in credential:
        return files | {credential["file"]: certificate(), credential["key"]: key()}
    return files | {credential["file"]: certificate() + key()}


def lay(text, config, directory):
    """Writes all of them below a directory: the configuration with the new paths, and where each one lies."""
    places = {}
    for path, content in named(config).items():
        place = directory / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        places[path] = place
        text = re.sub(rf"(?<![\w/.-]){re.escape(path)}(?![\w/.-])", str(place), text)
    return text, places
