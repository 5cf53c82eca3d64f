// The identity that a client presents to servers: a stored machine id, the boot, an instance number and a UUID for this run
// (docs/PROTOCOL.md H4). Invariants: every start of the daemon increases the instance number; nothing ever decreases it. Two machines that
// run at the same time have different boots, also if one is a copy of the other and they share a kernel, as containers do.

import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { bootId } from '@rsio/base/daemon/process-facts';
import { StateFile, type StateForm } from '@rsio/base/files/state-file';
import { integer, object, type Of, text } from '@rsio/base/lib/shape';
import { clientInstance, guarded, token } from './wire/guards.ts';
import path from 'node:path';

export interface Identity {
  readonly machine: string;
  /** Boot id of the kernel, with what a copy of this machine does not share while both run. */
  readonly boot: string;
  /** UUID of this run of the daemon, which distinguishes copies of a machine with otherwise equal values. */
  readonly process: string;
  readonly instance: number;
  /** Number of the data process; 0 for the main process. */
  readonly dataProcess: number;
}

const KEPT = object({
  machine: guarded(text(), token, 'a machine id'),
  instance: guarded(integer(), clientInstance, 'an instance number'),
});
type Kept = Of<typeof KEPT>;

const PID_NAMESPACE = '/proc/self/ns/pid';

const FORM: StateForm<Kept> = {
  version: 1,
  shape: KEPT,
  remedy: "restore it, or move it away and detach this node's volumes at the servers",
};

/**
 * Increments the stored instance number and returns the identity for this start. The new number is durable when the promise resolves.
 * Throws E_SYSTEM if the file identity.json cannot be used.
 */
export async function nextIdentity(stateDir: string): Promise<Identity> {
  let kept: Kept = { machine: randomUUID(), instance: 0 };
  const file = new StateFile<Kept>(path.join(stateDir, 'identity.json'), FORM, () => kept);
  kept = (await file.load()) ?? kept;
  kept = { machine: kept.machine, instance: kept.instance + 1 };
  await file.save();
  return { ...kept, boot: bootOf(stateDir), process: randomUUID(), dataProcess: 0 };
}

/**
 * True if `kept` was recorded while the kernel of `boot` ran. Only the boot id of the kernel counts, because the state folder gets another
 * inode or device when it is moved, restored or mounted again. The server refuses a copied container that uses the list of its original (H4).
 */
export function isSameBoot(kept: string, boot: string): boolean {
  return kernelOf(kept) === kernelOf(boot);
}

/** The boot id of the kernel alone. */
export function kernelOf(boot: string): string {
  return boot.split('.', 1)[0] ?? '';
}

/**
 * All containers of a kernel have one boot id. A copied container has another state folder: no two folders that exist at the same time have
 * the same device and inode. A second container with the same folder has another PID namespace.
 */
function bootOf(stateDir: string): string {
  const { dev, ino } = statSync(stateDir, { bigint: true });
  const pids = statSync(PID_NAMESPACE, { bigint: true }).ino;
  return `${bootId()}.${dev}-${ino}-${pids}`;
}
