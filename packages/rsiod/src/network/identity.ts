// The identity that the client presents to servers: the machine (a stored id), the boot, and the instance of the daemon (docs/PROTOCOL.md
// H4). Invariant: the instance number grows with every start and never decreases.

import { randomUUID } from 'node:crypto';
import { bootId } from '@rsio/common/daemon/process-facts';
import { isRecord, StateFile, type StateForm } from '@rsio/common/files/state-file';
import { clientInstance, passes, token } from '@rsio/protocol/wire/guards';
import path from 'node:path';

export interface Identity {
  readonly machine: string;
  readonly boot: string;
  /** Unique for this run of the daemon, because the other values may be the same on a copy of the machine. */
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

/** Reads the identity, and increases the instance number durably before it is used. Throws E_SYSTEM with the file's name. */
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
