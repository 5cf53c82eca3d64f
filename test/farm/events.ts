// The events of the farm drill: what happens to the owners of a pool, and how their machines return to work. Invariant: after `heal`, all
// servers run, all networks are whole, and no earlier owner has the pool mounted.

import { setTimeout as sleep } from 'node:timers/promises';
import type { FarmServer, Site } from './machines.ts';

/** `planned`: an orderly change. `force`: another server takes the pool. `other`: the pause depends on the event itself. */
export type Kind = 'planned' | 'force' | 'other';

export interface Struck {
  readonly site: Site;
  readonly pool: string;
  readonly owner: FarmServer;
  /** A server that does not own the pool. */
  readonly next: FarmServer;
  /** Marks the beginning of the change, if it begins later than the event. */
  begins(): void;
}

export interface FarmEvent {
  readonly name: string;
  readonly kind: Kind;
  /** True if the same server may serve the pool again. */
  readonly mayReturn?: boolean;
  /** True if the event hits the owners of all pools at once. */
  readonly isForAll?: boolean;
  happens(struck: Struck): Promise<void> | void;
  /** Brings the machine back, after the clients have continued. */
  heal?(struck: Struck): Promise<void> | void;
}

const CUT_MS = 4_000;
const revived = async ({ owner }: Struck): Promise<void> => void (await owner.host.start('rssrv'));

export const EVENTS: readonly FarmEvent[] = [
  { name: 'move', kind: 'planned', happens: moved },
  { name: 'listener killed', kind: 'force', happens: async ({ owner }) => void (await owner.host.kill('rssrv')), heal: revived },
  { name: 'frozen, goes on', kind: 'force', happens: ({ owner }) => owner.signal('SIGSTOP'), heal: ({ owner }) => owner.signal('SIGCONT') },
  {
    name: 'storage cut off',
    kind: 'force',
    happens: ({ owner }) => owner.cut('storage', true),
    heal: ({ owner }) => owner.cut('storage', false),
  },
  { name: 'power cut', kind: 'force', happens: ({ owner }) => owner.powerCut(), heal: revived },
  { name: 'all killed', kind: 'force', happens: ({ owner }) => owner.killAll(), heal: revived },
  { name: 'both networks cut', kind: 'force', happens: ({ owner }) => cutBoth(owner, true), heal: ({ owner }) => cutBoth(owner, false) },
  {
    name: 'listener frozen, goes on',
    kind: 'force',
    happens: ({ owner }) => void process.kill(owner.host.pid('rssrv'), 'SIGSTOP'),
    heal: ({ owner }) => void process.kill(owner.host.pid('rssrv'), 'SIGCONT'),
  },
  {
    name: 'clients cut off, then moved',
    kind: 'other',
    happens: async (struck) => {
      await struck.owner.cut('clients', true);
      await sleep(CUT_MS);
      struck.begins();
      await moved(struck);
    },
    heal: ({ owner }) => owner.cut('clients', false),
  },
  { name: 'stopped', kind: 'planned', happens: async ({ owner }) => void (await owner.host.stop('rssrv')), heal: revived },
  { name: 'listener killed and started', kind: 'other', mayReturn: true, happens: killedAndStarted },
  { name: 'power cut of all owners', kind: 'force', isForAll: true, happens: ({ owner }) => owner.powerCut(), heal: revived },
  { name: 'storage daemon killed', kind: 'other', mayReturn: true, happens: ({ owner }) => owner.killStorage() },
  { name: 'all owners killed', kind: 'force', isForAll: true, happens: ({ owner }) => owner.killAll(), heal: revived },
];

async function moved({ pool, next }: Struck): Promise<void> {
  await next.host.rsadmWell('pool', 'move', pool, '--to', next.name);
}

async function cutBoth(owner: FarmServer, isOn: boolean): Promise<void> {
  await Promise.all([owner.cut('clients', isOn), owner.cut('storage', isOn)]);
}

async function killedAndStarted({ owner }: Struck): Promise<void> {
  await owner.host.kill('rssrv');
  await owner.host.start('rssrv');
}
