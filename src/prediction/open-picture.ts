/** An image that can be read. */
export interface OpenPicture {
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** For ETag: the same only for the same bytes. */
  readonly tag: string;
  /** The bytes from `from` on, before `to`. @throws Error if they are gone */
  readonly read: (from: number, to: number) => AsyncIterable<Buffer>;
}

export function inMemory(bytes: Buffer, mediaType: string, tag: string): OpenPicture {
  const read = async function* (from: number, to: number) {
    yield bytes.subarray(from, to);
  };
  return { mediaType, sizeBytes: bytes.length, tag, read };
}

/** An image is at most as large as a request. */
export async function readAll({ read, sizeBytes }: OpenPicture): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of read(0, sizeBytes)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
