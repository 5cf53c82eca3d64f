// Ends the hold of an absent client by order of an administrator. holds.ts keeps the holds. Invariants: a hold ends only after the writes
// made under it are durable, and only while its client has no session at this server or at an earlier owner of its pool. A hold whose writes
// may be lost ends only if the administrator forces it and the client of the hold is fenced.

import { sleep } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { printDuration } from '@rsio/base/lib/units';
import type { Log } from '@rsio/base/log/log';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import { type Hold, isUnsettled } from './hold-rules.ts';
import type { GrantPorts, Holds } from './holds.ts';

export interface ReleasePorts extends Pick<GrantPorts, 'disputedMs' | 'incarnation' | 'incarnationEnded'> {
  /** Returns the served volume with this id, or null if the server does not serve it. */
  find(volumeId: string): ServedVolume | null;
  /** Returns true if the client has a session or is beginning a session. */
  isThere(node: string): boolean;
  isFenced(node: string): boolean;
  /** Makes all writes to the volume durable. Throws E_TIMEOUT if the storage does not answer, and another error if a write may be lost. */
  sync(volume: ServedVolume): Promise<void>;
  /** Waits for `ms`, because an earlier owner of the volume's pool may still answer the client during this time. */
  pause(volume: ServedVolume, ms: number): Promise<void>;
}

/**
 * Ends the hold of a node on a volume. Returns false if the node does not hold the volume. Throws E_IN_USE if the client has a
 * session, or if `isForced` is true and the client is not fenced. Throws E_HELD if writes may be lost and `isForced` is false,
 * E_TIMEOUT or E_VOLUME if the storage cannot be synced, and E_SYSTEM if the change cannot be saved. The hold stays after any error.
 */
export async function releaseHold(
  holds: Pick<Holds, 'endHold' | 'holdOf'>,
  { id, name }: { readonly id: string; readonly name: string },
  node: string,
  isForced: boolean,
  ports: ReleasePorts,
): Promise<boolean> {
  const seen = holds.holdOf(id, node);
  const pause = pauseOf(seen, id, ports);
  if (pause !== null) await pause;
  return holds.endHold(id, node, async (hold) => {
    if (seen?.epoch !== hold.epoch)
      throw new RsError('E_HELD', `Client ${node} has got volume ${name} anew meanwhile: try again`, { node, volume: name });
    checkAbsent(node, ports);
    if (isForced && !ports.isFenced(node))
      throw new RsError('E_IN_USE', `Client ${node} is not fenced, and may come back: run rsadm client fence ${node} first`, { node });
    const volume = ports.find(id);
    if (volume === null) throw notServed(name);
    if (hold.readonly) return;
    checkUndisputed(volume, name, ports);
    if (isUnsettled(hold, ports.incarnation(volume)) && !isForced) throw mayHaveLost(name, node, ports.isFenced(node));
    await syncHeld(volume, node, ports);
    // Check again: if the client has reconnected during the sync, it resumes its hold, and the hold must not end.
    checkAbsent(node, ports);
  });
}

/**
 * Returns a promise that resolves once no earlier owner of the volume's pool may still answer a writer; null if no wait is needed. Other
 * changes of the holds go on meanwhile, because the turn of the volume has not begun.
 */
export function pauseOf(
  hold: Pick<Hold, 'readonly'> | undefined,
  id: string,
  ports: Pick<ReleasePorts, 'find' | 'disputedMs' | 'pause'>,
): Promise<void> | null {
  const served = hold === undefined || hold.readonly ? null : ports.find(id);
  const disputedMs = served === null ? 0 : (ports.disputedMs(served) ?? 0);
  return served !== null && disputedMs > 0 ? ports.pause(served, disputedMs) : null;
}

/** Returns the function `pause` of the ports. The function logs why the volume does not leave its holder at once. */
export function disputePause(clock: Pick<Clock, 'after'>, log: Pick<Log, 'info'>): ReleasePorts['pause'] {
  return async ({ name }, ms) => {
    const time = printDuration(Math.ceil(ms / 1_000) * 1_000);
    log.info(`Volume ${name} leaves its holder in ${time}: until then, the earlier owner of its pool may still answer requests`, {
      volume: name,
    });
    await sleep(clock, ms);
  };
}

/** Throws E_VOLUME if an earlier owner of the volume's pool may still answer the holder, or a later owner has the pool. */
export function checkUndisputed(volume: ServedVolume, name: string, { disputedMs }: Pick<ReleasePorts, 'disputedMs'>): void {
  if (disputedMs(volume) === 0) return;
  throw new RsError('E_VOLUME', `The pool of volume ${name} has another owner now, or was taken again: try again there`, { volume: name });
}

function checkAbsent(node: string, ports: ReleasePorts): void {
  if (!ports.isThere(node)) return;
  throw new RsError('E_IN_USE', `Client ${node} has a session: detach the volume there, or run rsadm client fence ${node} first`, { node });
}

export function notServed(name: string): RsError {
  return new RsError('E_VOLUME', `Volume ${name} is not served, so that its last writes cannot be synced: it stays held`);
}

/** Returns the refusal (H3) if the writes of a holder may be lost, and only the holder can send them again. */
export function mayHaveLost(volume: string, node: string, isFenced: boolean): RsError {
  const first = isFenced ? '' : `run rsadm client fence ${node}, then `;
  return new RsError(
    'E_HELD',
    `Client ${node} has not yet recovered the writes to volume ${volume} that the storage may have lost: let it come back, or give them up: ` +
      `${first}rsadm client release ${node} --force`,
    { node, volume },
  );
}

/**
 * Syncs the volume. A time-out loses no writes. After any other failure, writes may be lost: a new incarnation begins, and the holder must
 * recover its writes.
 */
export async function syncHeld(volume: ServedVolume, node: string, ports: Pick<ReleasePorts, 'sync' | 'incarnationEnded'>): Promise<void> {
  try {
    await ports.sync(volume);
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    if (code === 'E_TIMEOUT')
      throw new RsError(
        'E_TIMEOUT',
        `Volume ${volume.name} is still held by ${node}. ${message}: try again when the storage answers`,
        {},
        thrown,
      );
    await ports.incarnationEnded(volume);
    throw new RsError(
      'E_VOLUME',
      `Volume ${volume.name} is still held by ${node}, which may have lost acknowledged writes. ${message}: check the storage`,
      {},
      thrown,
    );
  }
}
