// What the lab of `rsconfig impact` writes to: volumes and mirrors by NBD, gates by iSCSI, and applications, whose own program writes.
// impact-lab.ts makes them, and compares. Invariant: a write that is not done within the bound of the probe rejects.

import { statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { SocketInitiator } from '@rsio/gates/iscsi/testing/socket-initiator';
import type { Host } from '../support/hosts/host.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const LONE_MS = 20_000;
/** A take-over of a shared pool waits for its fence, and mounts the pool. */
const SHARED_MS = 45_000;
const GATE_MS = 60_000;
const BLOCK = Buffer.alloc(4_096, 'x');
/** Key `silent` of the applications: after this time without most servers of its volume, rsapp ends an application. */
export const APP_SILENT = '4s';
/** rsapp has ended by then what it ends. */
const APP_SETTLES_MS = 12_000;
const APP_LOOK_MS = 100;

export interface Probe {
  /** As impact calls it. */
  readonly kind: 'volume' | 'mirror' | 'gate' | 'application';
  readonly label: string;
  /** The shared pool in which its volume lies; null: the volume lies in pools of single servers. */
  readonly pool: string | null;
  write(): Promise<void>;
  close(): void;
}

/** A volume or mirror that is attached at the client. */
export async function volumeProbe(client: Host, kind: 'volume' | 'mirror', name: string, pool: string | null): Promise<Probe> {
  const io = await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`, boundMs(pool));
  const write = async (): Promise<void> => {
    await io.write(0, BLOCK);
    await io.flush();
  };
  return { kind, label: `osl:${name}@0`, pool, write, close: () => io.close() };
}

/** A gate at this port that offers one volume. */
export async function gateProbe(client: Host, name: string, port: number, pool: string | null): Promise<Probe> {
  const lun = async (): Promise<{ nqn: string; nsid: number } | null> => {
    const { gates } = await client.call('gates', {});
    const gate = gates.find((one) => one.name === name);
    const nsid = gate?.volumes[0]?.nsid ?? 0;
    return gate === undefined || gate.listening.length === 0 || nsid === 0 ? null : { nqn: gate.nqn, nsid };
  };
  const { nqn, nsid } = await waitFor(lun, GATE_MS, `Gate ${name} has its volume`);
  const login = () => SocketInitiator.login(port, { target: nqn, lun: nsid, isid: '400001370000' }).catch(() => null);
  const host = await waitFor(login, GATE_MS, `A host logs in at gate ${name}`);
  const write = async (): Promise<void> => {
    const late = pause(boundMs(pool)).then(() => Promise.reject(new Error('late')));
    const { status } = await Promise.race([host.writeBlock(0, BLOCK), late]);
    if (status !== 0) throw new Error(`Status ${status}`);
  };
  return { kind: 'gate', label: name, pool, write, close: () => host.close() };
}

/** An application whose program adds to the file `report` after each write. */
export function applicationProbe(name: string, report: string, pool: string | null): Probe {
  const reportedBytes = (): number => statSync(report).size;
  const write = async (): Promise<void> => {
    const endMs = performance.now() + boundMs(pool);
    await pause(APP_SETTLES_MS);
    for (const before = reportedBytes(); reportedBytes() === before; await pause(APP_LOOK_MS))
      if (performance.now() > endMs) throw new Error('late');
  };
  return { kind: 'application', label: name, pool, write, close: () => undefined };
}

/** Writes to all at once. Returns those that were written to. */
export async function written(probes: readonly Probe[]): Promise<Probe[]> {
  const tried = probes.map(async (probe): Promise<Probe[]> => {
    try {
      await probe.write();
      return [probe];
    } catch {
      return [];
    }
  });
  return (await Promise.all(tried)).flat();
}

function boundMs(pool: string | null): number {
  return pool === null ? LONE_MS : SHARED_MS;
}
