/**
 * The form of a signature file: a Sigstore bundle with a DSSE envelope, as OpenSSF Model Signing 1.0 writes it. What it says is
 * nobody's word until a key has verified it.
 */
import { JsonPart } from './json-part.js';
import { signatureError } from './signature-file.js';

const MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

export interface Bundle {
  /** Fingerprint of the key that is said to have signed; null if the file does not say. */
  readonly hint: string | null;
  readonly payload: Buffer;
  readonly signature: Buffer;
}

/** @throws SignatureError */
export function readBundle(bytes: Uint8Array): Bundle {
  const bundle = JsonPart.parse(bytes, 'the bundle');
  bundle.get('mediaType').is(MEDIA_TYPE);
  const material = bundle.get('verificationMaterial');
  refuseKeyless(material);
  const envelope = bundle.get('dsseEnvelope');
  envelope.get('payloadType').is(PAYLOAD_TYPE);
  const publicKey = material.get('publicKey');
  const hint = publicKey.isThere ? publicKey.get('hint') : null;
  return {
    hint: hint?.isThere ? hint.text() : null,
    payload: envelope.get('payload').base64(),
    signature: envelope.get('signatures').only().get('sig').base64(),
  };
}

/** Their certificates are valid for minutes, so that only a transparency log can tell that they were valid when they signed. */
function refuseKeyless(material: JsonPart): void {
  const chain = material.get('x509CertificateChain');
  const entries = material.get('tlogEntries');
  const isLogged = entries.isThere && entries.list().length > 0;
  if (!material.get('certificate').isThere && !(chain.isThere && isLogged)) return;
  throw signatureError(
    'WRONG_KIND',
    'it was signed without a key (keyless: Fulcio and Rekor), which this server does not verify; sign with a key',
    'a signature of `model_signing sign key`',
    'one of `model_signing sign sigstore`',
  );
}

/** What the signature is computed of: the type and the payload, with their lengths (DSSE pre-authentication encoding). */
export function signedBytes(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload]);
}
