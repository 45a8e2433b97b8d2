/** What a publisher does over HTTP: sends files, registers models and publishes. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Data } from './app.js';

const PROBLEM = 'problem { code message retryable ... on InvalidInput { problems { path code message } } }';
const NEW_KEY = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } secret } }';
const CREATE = `mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { id url } ${PROBLEM} } }`;
const COMPLETE = `mutation ($id: ID!) { completeUpload(id: $id) { upload { id } ${PROBLEM} } }`;
const REGISTER = `mutation ($input: RegisterModelInput!) { registerModel(input: $input) { model { name account title tags } ${PROBLEM} } }`;
const PUBLICATION = `id stage ${PROBLEM} publishedVersion { ref state verification { cases } } publishedModel { name }`;
const PUBLISH = `mutation ($input: PublishInput!) { publish(input: $input) { publication { ${PUBLICATION} } ${PROBLEM} } }`;
const POLL = `query ($id: ID!) { publication(id: $id) { ${PUBLICATION} } }`;

export type Files = Readonly<Record<string, Buffer | string>>;

export class PublishingClient {
  constructor(
    readonly url: () => string,
    readonly key: string | null,
  ) {}

  async send(query: string, variables: object = {}): Promise<Data> {
    const response = await fetch(`${this.url()}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(this.key && { authorization: `Bearer ${this.key}` }) },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as Data;
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  }

  /** A client with a new key, which this one makes. */
  async withKey(account: string, roles: readonly string[], more: object = {}): Promise<PublishingClient> {
    const { createApiKey } = await this.send(NEW_KEY, { input: { name: 'test', account, roles, ...more } });
    return new PublishingClient(this.url, createApiKey.secret);
  }

  /** Returns the id of the complete upload. */
  async upload(content: Buffer | string): Promise<string> {
    const bytes = Buffer.from(content);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const input = { fileName: 'file', sizeBytes: bytes.length, sha256 };
    const { upload } = (await this.send(CREATE, { input })).createUpload;
    if (upload.url === null) return upload.id;
    await fetch(`${this.url()}${upload.url}`, { method: 'PUT', body: bytes });
    const { problem } = (await this.send(COMPLETE, { id: upload.id })).completeUpload;
    if (problem) throw new Error(JSON.stringify(problem));
    return upload.id;
  }

  async register(name: string, task: string, more: object = {}): Promise<Data> {
    return (await this.send(REGISTER, { input: { name, task, ...more } })).registerModel;
  }

  /** Returns the payload. */
  async publish(model: string, files: Files, more: object = {}): Promise<Data> {
    const sent: object[] = [];
    for (const [path, content] of Object.entries(files)) sent.push({ path, upload: await this.upload(content) });
    return (await this.send(PUBLISH, { input: { model, files: sent, ...more } })).publish;
  }

  async poll(id: string): Promise<Data> {
    return (await this.send(POLL, { id })).publication;
  }

  /** The publication when it has ended. */
  async ended(id: string): Promise<Data> {
    for (;;) {
      const publication = await this.poll(id);
      if (['PUBLISHED', 'REFUSED'].includes(publication.stage)) return publication;
      await sleep(50);
    }
  }

  async published(model: string, files: Files, more: object = {}): Promise<Data> {
    const { publication, problem } = await this.publish(model, files, more);
    if (problem) throw new Error(JSON.stringify(problem));
    return this.ended(publication.id);
  }
}
