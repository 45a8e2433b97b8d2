"""Signatures of the folder signed/, made with the library of OpenSSF Model Signing, for ../signatures.test.ts.

    python3 -m venv venv && venv/bin/pip install -r requirements-signatures.txt
    venv/bin/python make-signatures.py

Writes signatures/<name>.sig, and signatures/publishers.pem with the public keys. The private keys are not kept, so that all
files change each time.
"""
import shutil
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import model_signing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HERE = Path(__file__).parent
MODEL = HERE / "signed"
OUT = HERE / "signatures"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()
keys = Path(tempfile.mkdtemp())


def make_key(name, curve):
    """The paths of a new private key and its public key."""
    key = ec.generate_private_key(curve)
    pem = serialization.Encoding.PEM
    private = keys / f"{name}.pem"
    private.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public = keys / f"{name}.pub"
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return key, private, public


def sign(name, private, hashing=None, signer=None, model=MODEL):
    config = model_signing.signing.Config()
    config = signer(config) if signer else config.use_elliptic_key_signer(private_key=private)
    config.set_hashing_config(hashing or model_signing.hashing.Config()).sign(model, OUT / f"{name}.sig")


def make_certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "publisher")])
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    )
    path = keys / "certificate.crt"
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


publics = []
for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
    name = f"p{curve.key_size}"
    _, private, public = make_key(name, curve)
    publics.append(public)
    # As an owner signs: with the command.
    signature = OUT / f"{name}.sig"
    command = ["sign", "key", MODEL, "--signature", signature, "--private_key", private]
    subprocess.run(["model_signing", *map(str, command)], check=True)
    model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public).verify(MODEL, signature)

key, private, public = make_key("certificate", ec.SECP256R1())
publics.append(public)
certificate = make_certificate(key)
sign(
    "certificate",
    private,
    signer=lambda config: config.use_certificate_signer(
        private_key=private, signing_certificate=certificate, certificate_chain=[certificate]
    ),
)

_, private, public = make_key("other", ec.SECP256R1())
publics.append(public)
hashing = model_signing.hashing
sign("shards", private, hashing.Config().use_shard_serialization(shard_size=64))
sign("blake2b", private, hashing.Config().use_file_serialization(hashing_algorithm="blake2"))
sign("ignored", private, hashing.Config().set_ignored_paths(paths=[MODEL / "README.md"]))
sign("file", private, model=MODEL / "1" / "model.onnx")

_, private, _ = make_key("foreign", ec.SECP256R1())
sign("foreign", private)

(OUT / "publishers.pem").write_bytes(b"".join(public.read_bytes() for public in publics))
shutil.rmtree(keys)
