// Who this client is to servers: the machine (an id kept below the root), the boot, and the instance of the daemon, a number that
// grows with every start and never goes back (docs/PROTOCOL.md H4).

import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { errnoName, RsError } from '@rsio/protocol/lib/errors';

export interface Identity {
  readonly machine: string;
  readonly boot: string;
  readonly instance: number;
}

interface Kept {
  readonly machine: string;
  readonly instance: number;
}

/** Reads the identity and counts the instance up, durably, before it is used. Throws E_SYSTEM naming the file. */
export async function nextIdentity(stateDir: string): Promise<Identity> {
  const file = path.join(stateDir, 'identity.json');
  const kept = (await readKept(file)) ?? { machine: randomUUID(), instance: 0 };
  const next: Kept = { machine: kept.machine, instance: kept.instance + 1 };
  await keep(file, next);
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return { ...next, boot };
}

async function readKept(file: string): Promise<Kept | null> {
  try {
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof value === 'object' && value !== null && 'machine' in value && 'instance' in value) {
      const { machine, instance } = value;
      if (typeof machine === 'string' && Number.isSafeInteger(instance)) return { machine, instance: Number(instance) };
    }
  } catch (error) {
    if (errnoName(error) === 'ENOENT') return null;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new RsError(
    'E_SYSTEM',
    `State file ${file} cannot be used: restore it, or move it away and detach this node's volumes at the servers`,
  );
}

async function keep(file: string, kept: Kept): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(kept)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const directory = await open(path.dirname(file), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
