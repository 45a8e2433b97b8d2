/** Certificates that sign themselves, for any time: Node can read them, but not make them. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export interface Pair {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/** For localhost and 127.0.0.1. Days are counted from now. */
export function makePair({ fromDays = -1, toDays = 1, serial = 1 } = {}): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const body = sequence(
    tagged(0, integer(2)),
    integer(serial),
    ECDSA_SHA256,
    NAME,
    sequence(time(fromDays), time(toDays)),
    NAME,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(sequence(identifier(0x55, 0x1d, 0x11), der(0x04, sequence(DNS_NAME, IP_ADDRESS))))),
  );
  const cert = sequence(body, ECDSA_SHA256, der(0x03, Buffer.from([0]), sign('sha256', body, privateKey)));
  return { cert: pem(cert), key: pemOf(privateKey) };
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

const ECDSA_SHA256 = sequence(identifier(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
const NAME = sequence(der(0x31, sequence(identifier(0x55, 0x04, 0x03), der(0x0c, Buffer.from('localhost')))));
const DNS_NAME = der(0x82, Buffer.from('localhost'));
const IP_ADDRESS = der(0x87, Buffer.from([127, 0, 0, 1]));

/** A value in the Distinguished Encoding Rules: its type, its length and its contents. */
function der(type: number, ...contents: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(contents);
  const { length } = bytes;
  const sizes = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([type, ...sizes]), bytes]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function tagged(tag: number, value: Buffer): Buffer {
  return der(0xa0 + tag, value);
}

function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]));
}

function identifier(...bytes: readonly number[]): Buffer {
  return der(0x06, Buffer.from(bytes));
}

/** As YYMMDDHHMMSSZ. */
function time(days: number): Buffer {
  const text = new Date(Date.now() + days * 86_400_000).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return der(0x17, Buffer.from(text.slice(2)));
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
