// Copies a whole export into a file with the demo's own NBD client, for machines without nbdcopy. Invariant: the file is complete when the
// promise resolves, and the number of requests in flight is bounded.

import { type FileHandle, open } from 'node:fs/promises';
import { NbdClient } from '../../support/io/nbd-client.ts';

const CHUNK_BYTES = 256 * 1024;
const LANES = 8;

export async function copyExport(socketPath: string, exportName: string, file: string, signal: AbortSignal): Promise<void> {
  const client = await NbdClient.open(socketPath, exportName, signal);
  const target = await open(file, 'w', 0o600);
  try {
    await Promise.all(Array.from({ length: LANES }, (_, lane) => copyLane(client, target, lane)));
  } finally {
    await target.close();
    await client.close();
  }
}

async function copyLane(client: NbdClient, target: FileHandle, lane: number): Promise<void> {
  for (let at = lane * CHUNK_BYTES; at < client.sizeBytes; at += LANES * CHUNK_BYTES) {
    const data = await client.read(at, Math.min(CHUNK_BYTES, client.sizeBytes - at));
    await target.write(data, 0, data.length, at);
  }
}
