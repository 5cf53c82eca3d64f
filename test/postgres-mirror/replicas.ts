// The mirror of the drills as a whole: makes it, waits until its replicas are in sync, and compares them. Invariant: a difference between
// replicas is reported as a problem, in a sentence. If the mirror does not come in sync, the error contains the state of the mirror.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Host } from '../support/hosts/host.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { MIRROR, MIRROR_BYTES, type Site } from './machines.ts';

/** Longest time until all replicas are in sync again. waitFor multiplies it by four. */
const SYNC_MS = 30_000;

/** Makes the mirror, and attaches it on the client. */
export async function createMirror(client: Host): Promise<void> {
  const words = ['--size', `${MIRROR_BYTES / 1024 ** 2}m`, '--servers', 'pi-1,pi-2', '--witness', 'pi-3', '--attach'];
  await client.rsconfigWell('mirror', 'create', MIRROR, ...words);
}

/**
 * Waits until all replicas are in sync and all voters answer. `client` has the mirror. Returns an upper bound of the bytes that were copied:
 * number of regions in which replicas were behind at their return, times the size of a region.
 */
export async function untilInSync(client: Host): Promise<number> {
  let [seenBytes, said] = [0, ''];
  const isSo = async (): Promise<boolean> => {
    const { mirrors: attached } = await client.call('status', {});
    const left = attached.flatMap(({ replicas }) => replicas).reduce((sum, { leftBytes }) => sum + (leftBytes ?? 0), 0);
    seenBytes = Math.max(seenBytes, left);
    const { mirrors } = await client.call('mirrors', { namespace: null });
    said = JSON.stringify({ attached, mirrors });
    const [mirror] = mirrors;
    return mirror?.replicas.every((one) => one.inSync && one.isReachable) === true && mirror.voters.every(({ answers }) => answers);
  };
  try {
    await waitFor(isSo, SYNC_MS, 'All replicas are in sync and all voters answer');
  } catch (error) {
    throw new Error(`The mirror: ${said}`, { cause: error });
  }
  return seenBytes;
}

/** Compares the replicas by command, detaches the mirror, and compares the files. Returns problems. */
export async function differences(site: Site, client: Host): Promise<string[]> {
  await untilInSync(client);
  const verified = await client.rsconfigWell('mirror', 'verify', MIRROR);
  await client.rsconfigWell('-d', MIRROR);
  const files = site.servers.filter(({ hasReplica }) => hasReplica).map((server) => server.replicaFile());
  const digests = await Promise.all(files.map(digestOf));
  return [
    ...(verified.includes('the replicas are equal') ? [] : [`mirror verify: ${verified}`]),
    ...(new Set(digests).size > 1 ? [`The replicas differ: ${files.join(', ')}`] : []),
  ];
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
