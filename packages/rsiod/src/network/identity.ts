// The identity that rsiod presents to servers: a stored machine id, the boot id, the instance number of the daemon, and a UUID for this run
// (docs/PROTOCOL.md H4). Invariant: every start of the daemon increases the instance number, and nothing decreases it.

import { randomUUID } from 'node:crypto';
import { bootId } from '@rsio/common/daemon/process-facts';
import { isRecord, StateFile, type StateForm } from '@rsio/common/files/state-file';
import { clientInstance, passes, token } from '@rsio/protocol/wire/guards';
import path from 'node:path';

export interface Identity {
  readonly machine: string;
  readonly boot: string;
  /** A UUID for this run of the daemon. Two copies of a machine may agree in all other values, but they differ in this UUID. */
  readonly process: string;
  readonly instance: number;
}

interface Kept {
  readonly machine: string;
  readonly instance: number;
}

const FORM: StateForm<Kept> = {
  version: 1,
  accepts: isKept,
  remedy: "restore it, or move it away and detach this node's volumes at the servers",
};

/**
 * Returns the identity for this start. The incremented instance number is durable when the promise resolves. Throws E_SYSTEM, naming the
 * file, if identity.json cannot be used.
 */
export async function nextIdentity(stateDir: string): Promise<Identity> {
  let kept: Kept = { machine: randomUUID(), instance: 0 };
  const file = new StateFile<Kept>(path.join(stateDir, 'identity.json'), FORM, () => kept);
  kept = (await file.load()) ?? kept;
  kept = { machine: kept.machine, instance: kept.instance + 1 };
  await file.save();
  return { ...kept, boot: bootId(), process: randomUUID() };
}

function isKept(value: unknown): value is Kept {
  return isRecord(value) && passes(token, value['machine']) && passes(clientInstance, value['instance']);
}
