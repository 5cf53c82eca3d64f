// Mutants of shared pools: of the record and its owner, of the ledger, of looks, and of the client that follows its volume. All are hunted in
// the worlds of test/sim/farm. take-mutants.ts has F10, F13 and F15, because these worlds judge neither needless moves nor reservations.

import type { Attachment } from '@rsio/protocol/client/attachment';
import { Attachment as ClientAttachment } from '@rsio/protocol/client/attachment';
import { Dispatcher } from '@rsio/protocol/client/dispatcher';
import { Opener } from '@rsio/protocol/client/opener';
import type { Request } from '@rsio/protocol/client/requests/request';
import type { OpenAnswer } from '@rsio/protocol/wire/messages';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { type FarmRecord, freed, type Writer } from '@rsio/rssrv/farm/farm-record';
import { Farms } from '@rsio/rssrv/farm/farms';
import { OwnLooks, type OwnLooksPorts } from '@rsio/rssrv/farm/own-looks';
import { SharedPool } from '@rsio/rssrv/farm/shared-pool';
import type { StorageClient } from '@rsio/rssrv/farm/engine';
import type { Ownership, SharedPoolPorts, Standing } from '@rsio/rssrv/farm/shared-pool-ports';
import { OwnerLooks, type OwnerLooksPorts } from '@rsio/rssrv/session/owner-looks';
import type { OpenVolume } from '@rsio/rssrv/session/request';
import type { LedgerContent } from '@rsio/rssrv/volumes/holds/ledger-file';
import { Ledgers } from '@rsio/rssrv/volumes/holds/ledgers';
import { OwnedLedgers } from '@rsio/rssrv/volumes/holds/owned-ledgers';
import { override, overrideGetter } from '../../base/override.ts';
import type { SimProcess } from '../../base/sim-clock.ts';
import { FarmMachine } from '../../farm/farm-machine.ts';
import type { FarmMount } from '../../farm/farm-mount.ts';
import { type DiskClient, SharedDisk } from '../../farm/shared-disk.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface Owned {
  readonly generation: number;
  readonly record: FarmRecord;
  readonly client: StorageClient;
  readonly isLost: boolean;
}

interface PoolInner {
  readonly ports: PrivateAs<SharedPool['ports'], SharedPoolPorts>;
  owned: PrivateAs<SharedPool['owned'], Owned | null>;
  standing: PrivateAs<SharedPool['standing'], Standing>;
  readonly store: PrivateAs<SharedPool['store'], (before: FarmRecord, next: FarmRecord) => Promise<void>>;
}

interface LooksInner {
  readonly ports: PrivateAs<OwnLooks['ports'], OwnLooksPorts>;
}

interface MountInner {
  readonly client: DiskClient;
  readonly hasFailed: boolean;
  volumes: PrivateAs<FarmMount['volumes'], Map<string, { readonly changed: Uint32Array; readonly written: Uint32Array }>>;
}

interface OwnerInner {
  readonly ports: PrivateAs<OwnerLooks['ports'], OwnerLooksPorts>;
}

interface DiskInner {
  record: FarmRecord | null;
  readonly fenced: Set<string>;
  readonly clock: PrivateAs<SharedDisk['clock'], { monotonicMs(): number }>;
}

type Fence = [writer: Writer, generation: number];
type Conclude = [open: OpenVolume, ended: Status, then: (status: Status) => void];

const FARMS = { explorer: 'farms' } as const;
const FENCE_MS = 10_000;

export const FARM_MUTANTS: readonly Mutant[] = [
  {
    ...FARMS,
    name: 'swap-blind',
    rule: 'F1',
    breaks: 'the record is replaced whatever it has become',
    apply: () =>
      override<DiskInner, [FarmRecord | null, FarmRecord], boolean>(SharedDisk, 'swap', () => (self, _seen, next) => {
        self.record = next;
        return true;
      }),
  },
  {
    ...FARMS,
    name: 'ledger-unkept',
    rule: 'F2',
    breaks: 'changes of holders stay in the memory of the owner',
    apply: () => override<object, [string], Promise<void>>(OwnedLedgers, 'save', () => () => Promise.resolve()),
  },
  {
    ...FARMS,
    name: 'ledger-late',
    rule: 'F2',
    breaks: 'OPEN is answered before the ledger is durable',
    apply: () =>
      override<object, [string], Promise<void>>(OwnedLedgers, 'save', (original) => (self, poolId) => {
        original(self, poolId).catch(() => undefined);
        return Promise.resolve();
      }),
  },
  {
    ...FARMS,
    name: 'notes-unkept',
    rule: 'F2',
    also: ['H4'],
    breaks: 'the ledger does not say which instances of a client have been replaced, and who holds',
    apply: () =>
      override<object, [object], LedgerContent>(Ledgers, 'contentOf', (original) => (self, ledger) => ({
        ...original(self, ledger),
        volumes: {},
        nodes: {},
      })),
  },
  {
    ...FARMS,
    name: 'own-past-unfenced',
    rule: 'F3',
    breaks: 'a server that has started again does not fence its own past',
    apply: () =>
      override<PoolInner, Fence, Promise<void>>(
        SharedPool,
        'fence',
        (original) => (self, writer, generation) =>
          writer.server === self.ports.server ? Promise.resolve() : original(self, writer, generation),
      ),
  },
  {
    ...FARMS,
    name: 'unfenced',
    rule: 'F4',
    breaks: 'a taker fences nobody',
    apply: () => override<PoolInner, Fence, Promise<void>>(SharedPool, 'fence', () => () => Promise.resolve()),
  },
  {
    ...FARMS,
    name: 'fence-unproven',
    rule: 'F4',
    breaks: 'a taker goes on although a fence has failed',
    apply: () =>
      override<PoolInner, Fence, Promise<void>>(
        SharedPool,
        'fence',
        () => (self, writer) => self.ports.engine.fence(writer).catch(() => undefined),
      ),
  },
  {
    ...FARMS,
    name: 'fence-last-only',
    rule: 'F4',
    breaks: 'a taker fences only the last owner, not the takers before it that have failed',
    apply: () =>
      override<PoolInner, Fence, Promise<void>>(
        SharedPool,
        'fence',
        (original) => (self, writer, generation) =>
          writer.generation < generation - 1 ? Promise.resolve() : original(self, writer, generation),
      ),
  },
  {
    ...FARMS,
    name: 'fence-after-mount',
    rule: 'F4',
    breaks: 'a taker mounts the file system before it fences',
    apply: () => {
      const late = new WeakMap<PoolInner, (() => Promise<void>)[]>();
      return all(
        override<PoolInner, Fence, Promise<void>>(SharedPool, 'fence', (original) => (self, writer, generation) => {
          late.set(self, [...(late.get(self) ?? []), () => original(self, writer, generation)]);
          return Promise.resolve();
        }),
        override<PoolInner, [], Promise<void>>(SharedPool, 'openUp', (original) => async (self) => {
          for (const fence of late.get(self) ?? []) await fence().catch(() => undefined);
          late.delete(self);
          await original(self);
        }),
      );
    },
  },
  {
    ...FARMS,
    name: 'fence-expires',
    rule: 'F4',
    breaks: 'the storage forgets a fence after ten seconds',
    apply: () => {
      const since = new WeakMap<DiskInner, Map<string, number>>();
      return override<DiskInner, [DiskClient], boolean>(SharedDisk, 'mayWrite', (original) => (self, client) => {
        const times = since.get(self) ?? new Map<string, number>();
        since.set(self, times);
        const nowMs = self.clock.monotonicMs();
        for (const name of self.fenced) {
          if (!times.has(name)) times.set(name, nowMs);
          if (nowMs - times.get(name)! > FENCE_MS) self.fenced.delete(name);
        }
        return original(self, client);
      });
    },
  },
  {
    ...FARMS,
    name: 'life-kept',
    rule: 'F5',
    also: ['F4'],
    breaks: 'a take by force goes on with the life of the last owner',
    apply: () =>
      overrideGetter<PoolInner, Ownership | null>(SharedPool, 'ownership', (self, original) => {
        const ownership = original(self);
        return ownership === null ? null : { generation: ownership.generation, life: 0 };
      }),
  },
  {
    ...FARMS,
    name: 'freed-mounted',
    rule: 'F6',
    breaks: 'a clean move frees the record before the file system is unmounted',
    apply: () =>
      override<PoolInner, [Owned, string | null], Promise<void>>(SharedPool, 'release', () => async (self, owned, next) => {
        const { clock, mount } = self.ports;
        await self.store(owned.record, freed(owned.record, next, clock.wallMs()));
        await mount.unmount();
        [self.owned, self.standing] = [null, 'watching'];
        await owned.client.close();
      }),
  },
  {
    ...FARMS,
    name: 'cache-kept',
    rule: 'F7',
    breaks: 'the blocks that a server has cached outlive its ownership',
    apply: () => {
      const last = new WeakMap<object, MountInner>();
      return override<Pick<FarmMachine, 'kernel' | 'mount'>, [SimProcess, string], Promise<void>>(
        FarmMachine,
        'mountDevice',
        (original) => async (self, process, device) => {
          const before = last.get(self.kernel);
          await original(self, process, device);
          const mount = self.mount as unknown as MountInner;
          if (before !== undefined) mount.volumes = before.volumes;
          for (const { changed, written } of mount.volumes.values()) written.set(changed);
          last.set(self.kernel, mount);
        },
      );
    },
  },
  {
    ...FARMS,
    name: 'error-unlooked',
    rule: 'F7',
    breaks: 'an error of the storage is answered without a look',
    apply: () =>
      override<OwnerInner, Conclude, void>(OwnerLooks, 'conclude', (original) => (self, open, ended, then) => {
        if (ended === STATUS.OK) original(self, open, ended, then);
        else then(self.ports.outcome(open, ended));
      }),
  },
  {
    ...FARMS,
    name: 'error-unprobed',
    rule: 'F7',
    breaks: 'an error of a file system that has failed as a whole is answered',
    apply: () =>
      override<Farms, [string | null, number, boolean], Promise<boolean>>(
        Farms,
        'isMine',
        (original) => (self, name, generation) => original(self, name, generation, false),
      ),
  },
  {
    ...FARMS,
    name: 'look-in-memory',
    rule: 'F8',
    breaks: 'a look does not read the record',
    apply: () =>
      override<LooksInner, [], Promise<boolean>>(
        OwnLooks,
        'lookUntilKnown',
        () => (self) => Promise.resolve(self.ports.owned()?.isLost === false),
      ),
  },
  {
    ...FARMS,
    name: 'look-for-ever',
    rule: 'F8',
    breaks: 'the only writer of a volume is answered however long ago the last look was',
    apply: () =>
      override<object, [OpenVolume], boolean>(
        OwnerLooks,
        'mayAnswer',
        () =>
          (_self, { isLooked, isLost }) =>
            !isLooked && !isLost,
      ),
  },
  {
    ...FARMS,
    name: 'forced-at-once',
    rule: 'H2',
    also: ['F8'],
    breaks: 'a volume is taken over while an earlier owner of its pool may still answer its holder',
    apply: () =>
      override<OwnLooks, [number], number | null>(OwnLooks, 'disputedMs', (original) => (self, generation) => {
        const ms = original(self, generation);
        return ms === null ? null : 0;
      }),
  },
  {
    ...FARMS,
    name: 'moved-unreplayed',
    rule: 'F9',
    breaks: 'a client that goes to the next owner does not notice a new life',
    apply: () =>
      override<Attachment, [OpenAnswer], void>(
        ClientAttachment,
        'opened',
        (original) => (self, answer) => original(self, { ...answer, life: self.volume?.life ?? answer.life }),
      ),
  },
  {
    ...FARMS,
    name: 'given-up-ends-hold',
    rule: 'F9',
    breaks: 'what an attach that was given up has left at a server ends the hold that the client has by another server',
    apply: () => override<object, [object], void>(Opener, 'keepHold', () => () => undefined),
  },
  {
    ...FARMS,
    name: 'given-up-in-flight',
    rule: 'F9',
    breaks: 'a volume that goes to another server leaves its requests in the slots of the one before',
    apply: () =>
      override<{ readonly attachments: Attachment[] }, [Attachment], Request[]>(Dispatcher, 'giveUp', () => (self, attachment) => {
        self.attachments.splice(self.attachments.indexOf(attachment), 1);
        return [];
      }),
  },
];
