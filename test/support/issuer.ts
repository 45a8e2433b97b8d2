/** An OpenID issuer with a real web server and real keys, which signs what it is told to. */
import { once } from 'node:events';
import http, { type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

export const AUDIENCE = 'https://models.example';

export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function signingKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export class TestIssuer {
  readonly url: string;
  readonly key: SigningKey;
  /** Requests for the key set. */
  reads = 0;
  /** Other paths that were requested. */
  readonly otherPaths: string[] = [];
  /** Answers requests for the key set. */
  answer: (response: ServerResponse) => void;
  readonly #server: http.Server;

  private constructor(server: http.Server, key: SigningKey) {
    this.#server = server;
    this.key = key;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.answer = answerWith([key]);
    server.on('request', ({ url }, response) => this.#respond(url ?? '', response));
  }

  static async start(): Promise<TestIssuer> {
    const server = http.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TestIssuer(server, await signingKey('first'));
  }

  /** Lists these keys from now on. */
  list(...keys: SigningKey[]): void {
    this.answer = answerWith(keys);
  }

  /** A token with the claims of an access token, unless others are given. */
  sign(claims: JWTPayload = {}, header: object = {}, { kid, alg, privateKey } = this.key): Promise<string> {
    const now = Math.floor(Date.now() / 1_000);
    const usual = { iss: this.url, aud: AUDIENCE, sub: 'alice', iat: now, exp: now + 300, roles: ['predictor'] };
    return new SignJWT({ ...usual, ...claims })
      .setProtectedHeader({ alg, kid, typ: 'at+jwt', ...header })
      .sign(privateKey);
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  #respond(path: string, response: ServerResponse): void {
    if (path === '/.well-known/openid-configuration')
      response.end(JSON.stringify({ issuer: this.url, jwks_uri: `${this.url}/keys` }));
    else if (path === '/keys') {
      this.reads++;
      this.answer(response);
    } else {
      this.otherPaths.push(path);
      response.writeHead(404).end();
    }
  }
}

function answerWith(keys: readonly SigningKey[]) {
  const body = JSON.stringify({ keys: keys.map(({ publicJwk }) => publicJwk) });
  return (response: ServerResponse) => void response.end(body);
}
