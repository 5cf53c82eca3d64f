// Mutants of the rules for volumes of pools: C1 to C4, and OPENs during a change (H1). Mutants of file operations break the simulated
// files; the unit tests of pool-files.ts test the real ones.

import type { OpenRequest } from '@rsio/protocol/wire/messages';
import type { ServerVolumeConfig } from '@rsio/common/config/schema/types';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { type GrantPorts, Holds } from '@rsio/rssrv/volumes/holds/holds';
import { ConfigInForce } from '@rsio/rssrv/server/config-in-force';
import type { Found, PoolState } from '@rsio/rssrv/pools/catalogue';
import type { Manifest } from '@rsio/rssrv/pools/disk/manifest';
import { PoolVerbs } from '@rsio/rssrv/pools/pool-verbs';
import { SessionVolumes } from '@rsio/rssrv/session/session-volumes';
import type { Grant, ClientIdentity } from '@rsio/rssrv/volumes/holds/grants';
import type { VolumeStanding } from '@rsio/rssrv/volumes/volume-plan';
import { override } from '../../base/override.ts';
import { SimVolume } from '../../machines/sim-volume.ts';
import { SimDisk } from '../../storage/sim-disk.ts';
import { SimPools } from '../../pools/sim-pool.ts';
import { SimPoolFiles } from '../../pools/sim-pool-files.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

type GrantNow = [id: string, client: ClientIdentity, request: OpenRequest, ports: GrantPorts, own: unknown];
type Extension = [id: string, fromBytes: number, sizeBytes: number];

interface HoldsInner {
  decideAndGive: PrivateAs<Holds['decideAndGive'], (...grant: GrantNow) => Promise<Grant>>;
}

interface VerbsInner {
  serve: PrivateAs<PoolVerbs['serve'], (pool: PoolState, was: Manifest | null, now: Manifest) => Promise<void>>;
}

interface PoolsInner {
  list: PrivateAs<SimPools['list'], { state: PoolState }[]>;
}

function beforeServing(change: (volume: SimVolume, config: ServerVolumeConfig) => void): () => void {
  return override<SimVolume, [ServerVolumeConfig | null], void>(SimVolume, 'serveAs', (original) => (self, config) => {
    if (config !== null) change(self, config);
    original(self, config);
  });
}

function fill({ storage: { cache } }: SimVolume, byte: number, from: number, to: number): void {
  cache.content.fill(byte, from, to);
  cache.disk.fill(byte, from, to);
}

const DURABILITY: readonly Mutant[] = [
  {
    name: 'manifest-before-file',
    rule: 'C1',
    breaks: 'The manifest of a grown volume is committed before its file is extended',
    apply: () => {
      const late: Extension[] = [];
      return all(
        override<SimPoolFiles, Extension, Promise<void>>(SimPoolFiles, 'extend', () => async (_self, ...extension) => {
          late.push(extension);
        }),
        override<SimPoolFiles, [Manifest], Promise<void>>(SimPoolFiles, 'replaceManifest', (original) => async (self, manifest) => {
          await original(self, manifest);
          for (const [id, , sizeBytes] of late.splice(0)) {
            const { disk }: { disk: SimDisk } = Reflect.get(self, 'sim');
            disk.extend(id, sizeBytes);
            disk.syncData(id);
          }
        }),
      );
    },
  },
  {
    name: 'change-told-early',
    rule: 'C1',
    breaks: 'A change is announced to clients before it is durable',
    apply: () =>
      override<VerbsInner, [Found, Manifest], Promise<Found>>(PoolVerbs, 'replace', (original) => async (self, found, manifest) => {
        await self.serve(found.pool, found.manifest, manifest);
        return original(self, found, manifest);
      }),
  },
  {
    name: 'change-unsynced',
    rule: 'C1',
    breaks: 'A change is answered before the folder is synced',
    apply: () => override(SimDisk, 'sync', () => () => undefined),
  },
  {
    name: 'start-unsynced',
    rule: 'C1',
    breaks: 'A start serves what the server before had not synced yet (of the simulated pool)',
    apply: () => override(SimPools, 'makeDurable', () => () => undefined),
  },
];

const CONTENT: readonly Mutant[] = [
  {
    name: 'grown-dirty',
    rule: 'C2',
    breaks: 'The grown part of a volume shows what was on the disk before',
    apply: () =>
      beforeServing((volume, { sizeBytes }) => {
        if (volume.config !== null) fill(volume, 0xa5, volume.oracle.sectors * SECTOR_BYTES, sizeBytes ?? 0);
      }),
  },
  {
    name: 'grown-untold',
    rule: 'C2',
    breaks: 'Handles that are open do not grow with their volume',
    apply: () => override(SessionVolumes, 'grow', () => () => undefined),
  },
  {
    name: 'restored-empty',
    rule: 'C2',
    breaks: 'A restored volume gets a new file',
    apply: () =>
      beforeServing((volume) => {
        if (volume.isRemoved) fill(volume, 0, 0, volume.storage.content.length);
      }),
  },
];

const USE: readonly Mutant[] = [
  {
    name: 'held-removed',
    rule: 'C3',
    breaks: 'A volume is removed and renamed although clients use it',
    apply: () =>
      override<object, [ServerVolumeConfig], VolumeStanding>(ConfigInForce, 'standingOf', (original) => (self, volume) => ({
        ...original(self, volume),
        users: [],
      })),
  },
  {
    name: 'removed-served',
    rule: 'C3',
    breaks: 'A volume is served after its removal is answered',
    apply: () =>
      override<object, [ServerVolumeConfig | null, ServerVolumeConfig | null], Promise<void>>(
        ConfigInForce,
        'applyVolume',
        (original) => async (self, was, now) => {
          if (now !== null) await original(self, was, now);
        },
      ),
  },
  {
    name: 'granted-as-before',
    rule: 'H1',
    breaks: 'An OPEN is answered with what was true before its hold was saved',
    apply: () =>
      override<HoldsInner, GrantNow, Promise<Grant>>(
        Holds,
        'grantNow',
        () =>
          (self, ...grant) =>
            self.decideAndGive(...grant),
      ),
  },
  {
    name: 'refused-holds',
    rule: 'H1',
    breaks: 'An OPEN that is refused after its hold was saved leaves the hold behind',
    apply: () => override(Holds, 'withdraw', () => async () => undefined),
  },
];

const ONCE: readonly Mutant[] = [
  {
    name: 'request-forgotten',
    rule: 'C4',
    breaks: 'The ids of requests are forgotten when the listener restarts',
    apply: () =>
      override<PoolsInner, [], void>(SimPools, 'scan', (original) => (self) => {
        original(self);
        for (const pool of self.list) {
          const volumes = [...pool.state.volumes].map(([id, manifest]) => [id, { ...manifest, request: null }] as const);
          pool.state = { ...pool.state, volumes: new Map(volumes) };
        }
      }),
  },
  {
    name: 'request-again',
    rule: 'C4',
    breaks: 'A repeated request is executed again',
    apply: () => override(PoolVerbs, 'doneBy', () => () => null),
  },
];

export const POOL_MUTANTS: readonly Mutant[] = [...DURABILITY, ...CONTENT, ...USE, ...ONCE];
