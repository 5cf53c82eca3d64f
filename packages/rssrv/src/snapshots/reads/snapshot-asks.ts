// Answers the ioctls of a client about an open snapshot: asks the listener, which knows the pool (snapshot-answers.ts). Invariant: every
// ioctl is answered, even if the listener has ended. Rules: N4.

import { toRsError } from '@rsio/base/lib/errors';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { counter, type KindsOf, orNull, token } from '@rsio/protocol/wire/guards';
import { ChangesRequest, ExtentsAnswer, IOCTL, SnapshotsAnswer, SnapshotsRequest } from '@rsio/protocol/wire/messages';
import { STATUS, type Status, statusEntry } from '@rsio/protocol/wire/status';
import type { ServedVolume } from '../../storage/io/served-volume.ts';

/** `snapshotId`: id of the open snapshot. */
export const SNAPSHOT_ASKS = {
  'older-snapshots': { snapshotId: token, after: orNull(token) },
  changes: { snapshotId: token, since: token, fromBytes: counter, toBytes: counter },
};
export type SnapshotAsk = KindsOf<'what', typeof SNAPSHOT_ASKS>;

/**
 * `changes`: a flat list of pairs, each a number of sectors and their state. `snapshotCode`, `sentence`: the reason why the ioctl
 * fails.
 */
export type SnapshotReply =
  | SnapshotsAnswer
  | { readonly changes: readonly number[] }
  | { readonly snapshotCode: string; readonly sentence: string };

interface Outcome {
  readonly status: Status;
  /** The body of the answer, or the sentence of an error. */
  readonly body: Buffer | string;
}

const STATUSES: Readonly<Record<string, Status>> = {
  E_UNKNOWN_SNAPSHOT: STATUS.UNKNOWN_VOLUME,
  E_NO_REFLINK: STATUS.UNSUPPORTED,
  E_VOLUME: STATUS.VOLUME_UNAVAILABLE,
};

export function isSnapshotIoctl(number: number): boolean {
  return number === IOCTL.SNAPSHOTS || number === IOCTL.CHANGES;
}

/**
 * Answers an ioctl of an open volume or snapshot. Throws E_PROTOCOL if the request is malformed. `askSnapshot` asks the listener, and resolves
 * with null if the listener has ended.
 */
export async function snapshotIoctl(
  askSnapshot: (ask: SnapshotAsk) => Promise<SnapshotReply | null>,
  open: { readonly volume: ServedVolume; readonly sizeBytes: number },
  number: number,
  body: Buffer,
): Promise<Outcome> {
  const ask = number === IOCTL.SNAPSHOTS ? askForOlder(open.volume, body) : askForChanges(open, body);
  if (ask === null) return failure(STATUS.PAST_END);
  if (open.volume.snapshotOf === undefined) return failure(STATUS.UNSUPPORTED, `${open.volume.name} is a volume, not a snapshot`);
  const reply = await askSnapshot(ask).catch((thrown: unknown) => ({ snapshotCode: '', sentence: toRsError(thrown).message }));
  if (reply === null) return failure(STATUS.SHUTTING_DOWN);
  if ('snapshotCode' in reply) return failure(STATUSES[reply.snapshotCode] ?? STATUS.IO_ERROR, reply.sentence);
  return { status: STATUS.OK, body: 'changes' in reply ? ExtentsAnswer.encode({ extents: reply.changes }) : SnapshotsAnswer.encode(reply) };
}

function failure(status: Status, sentence = statusEntry(status).sentence): Outcome {
  return { status, body: sentence };
}

function askForOlder({ id }: ServedVolume, body: Buffer): SnapshotAsk {
  return { what: 'older-snapshots', snapshotId: id, ...SnapshotsRequest.decode(body, 0, body.length) };
}

/** Returns null if the range exceeds the end of the snapshot. */
function askForChanges(
  { volume, sizeBytes }: { readonly volume: ServedVolume; readonly sizeBytes: number },
  body: Buffer,
): SnapshotAsk | null {
  const { since, lba, sectors } = ChangesRequest.decode(body, 0, body.length);
  const [fromBytes, toBytes] = [lba * SECTOR_BYTES, (lba + sectors) * SECTOR_BYTES];
  return toBytes > sizeBytes ? null : { what: 'changes', snapshotId: volume.id, since, fromBytes, toBytes };
}
