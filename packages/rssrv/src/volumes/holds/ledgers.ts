// Reads the ledgers of the open pools (ledger-file.ts), and makes this server their owner. The classes Holds and Fences have the content of
// the ledgers in memory; owned-ledgers.ts saves it.
// Invariants: a pool is served only after its ledger names this server as the owner. The holders of a served volume are always known: a
// pool whose ledger is missing or damaged is not served. If another run of a server has owned a pool, the volumes of the pool get new
// incarnations before they are served again.

import { isDeepStrictEqual } from 'node:util';
import { assert } from '@rsio/base/lib/assert';
import { StateFile } from '@rsio/base/files/state-file';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import type { PoolState } from '../../pools/catalogue.ts';
import type { Manifest, ReadIdentity } from '../../pools/disk/manifest.ts';
import type { PoolFiles } from '../../pools/disk/pool-files.ts';
import { poolPaths } from '../../pools/disk/pool-paths.ts';
import type { PoolLedgers } from '../../pools/open-pool.ts';
import type { Fences } from '../fences.ts';
import { FENCES_MAX } from '../limits.ts';
import type { Holds } from './holds.ts';
import { LEDGER_FILE, type LedgerContent, ownedBy } from './ledger-file.ts';
import type { OwnedLedgers } from './owned-ledgers.ts';

export interface LedgersPorts {
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly holds: Pick<Holds, 'adopt' | 'carry' | 'forgetPool' | 'inLedger' | 'keptBy' | 'known'>;
  readonly fences: Pick<Fences, 'adopt' | 'all'>;
  readonly owned: Pick<OwnedLedgers, 'add' | 'remove'>;
  /** Returns the id of this run of the server. No other server and no later boot has this id. */
  owner(): string;
  /** Begins new incarnations of the volumes, durably. */
  begin(volumeIds: readonly string[]): Promise<void>;
  /** Number of incarnations of a volume that have ended. */
  countOf(volumeId: string): number;
  /** Continues with the counts of the last owner of a shared pool. */
  adoptCounts(counts: Readonly<Record<string, number>>): void;
  /** Returns true if this server has served a pool with all these volumes at this path before. */
  areRemembered(path: string, volumes: Iterable<Pick<Manifest, 'name' | 'universe'>>): boolean;
  /**
   * Called when a pool that another server has owned is in force. Its holders may connect here, and the clients `fenced` are now fenced.
   */
  came(fenced: readonly string[]): void;
}

interface Ledger {
  readonly identity: ReadIdentity;
  readonly file: StateFile<LedgerContent>;
  /** The content that was read. */
  readonly read: LedgerContent;
  readonly isShared: boolean;
  /** The content once this server is the owner; null before. Holds and Fences have the holders and the fences. */
  owned: LedgerContent | null;
  /** The fences of the earlier owner; empty once the pool is in force, because Fences then has them. */
  unadopted: LedgerContent['fences'];
}

export class Ledgers implements PoolLedgers {
  private readonly ports: LedgersPorts;
  /** All ledgers that were read. A pool and its copy have the same id, but not the same files. */
  private readonly all = new Map<PoolFiles, Ledger>();

  constructor(ports: LedgersPorts) {
    this.ports = ports;
  }

  async read(files: PoolFiles, identity: ReadIdentity, state: PoolState): Promise<void> {
    const file = new StateFile<LedgerContent>(
      poolPaths.ledger(files.directory),
      LEDGER_FILE,
      () => this.contentOf(this.all.get(files)!),
      (_path, bytes) => files.replaceLedger(bytes),
    );
    const read = identity.hasLedger ? await loaded(file, identity.id) : this.fromEarlierRelease(identity.id, state);
    this.all.set(files, { identity, file, read, owned: null, unadopted: {}, isShared: state.isShared });
  }

  async own(files: PoolFiles, state: PoolState): Promise<void> {
    const { holds, fences, log } = this.ports;
    const ledger = this.all.get(files)!;
    const { read, identity } = ledger;
    const { ownership } = state;
    const next = ownedBy(read, ownership === null ? this.ports.owner() : `farm.${ownership.generation}`);
    const fenced = Object.keys({ ...read.fences, ...fences.all });
    if (fenced.length > FENCES_MAX)
      throw new RsError(
        'E_LIMIT',
        `its ledger and this server fence ${fenced.length} clients, and ${FENCES_MAX} are allowed: unfence some`,
      );
    if (next !== read && ownership !== null) {
      // After a clean move, the incarnations continue. After a take-over by force, the pool has a new life, and the counts do not matter.
      // Skip other volumes in the ledger: they may have moved to another pool of this server, where their incarnations have counts of their
      // own.
      this.ports.adoptCounts(Object.fromEntries(volumesIn(state).map((id) => [id, read.counts?.[id] ?? 0])));
    } else if (next !== read) {
      // Writes of the earlier owner may be lost. This server may have owned the pool before the earlier owner did, and clients may know its
      // incarnations.
      await this.ports.begin([...new Set([...volumesIn(state), ...partsIn(state), ...Object.keys(read.volumes)])]);
      if (this.all.get(files) !== ledger) throw new RsError('E_POOL', 'it was given up meanwhile', { pool: state.name });
      log.info(`Pool ${state.name}: this server is its owner now, generation ${next.generation}, and knows its holders`);
    }
    holds.adopt(identity.id, read, new Set([...volumesIn(state), ...snapshotsIn(state)]), next !== read);
    ledger.owned = next;
    ledger.unadopted = read.fences;
    this.ports.owned.add(identity.id, ledger.file);
    if (!isDeepStrictEqual(this.contentOf(ledger), read)) await ledger.file.save();
    if (!identity.hasLedger) await files.markLedger(identity);
    holds.keptBy(identity.id);
  }

  inForce(files: PoolFiles): void {
    const { fences, log } = this.ports;
    const ledger = this.all.get(files);
    if (ledger === undefined || ledger.owned === null) return;
    const added = fences.adopt(ledger.unadopted, (thrown) => log.error(toRsError(thrown).message));
    ledger.unadopted = {};
    for (const node of added)
      log.warn(`Client ${node} is fenced, because the last server of a pool has fenced it: rsadm client unfence ${node} lets it in`);
    if (added.length > 0 || ledger.owned !== ledger.read) this.ports.came(added);
  }

  left(files: PoolFiles): void {
    const ledger = this.all.get(files);
    this.all.delete(files);
    if (ledger === undefined || !this.ports.owned.remove(ledger.identity.id, ledger.file)) return;
    // The next owner changes the holders, so the holders in memory become outdated.
    if (ledger.isShared) this.ports.holds.forgetPool(ledger.identity.id);
  }

  carry<T>(ids: readonly string[], toId: string, commit: () => Promise<T>, mayBeThere: () => boolean): Promise<T> {
    return this.ports.holds.carry(ids, toId, commit, mayBeThere);
  }

  private contentOf({ identity, read, owned, unadopted, isShared }: Ledger): LedgerContent {
    if (owned === null) return read;
    assert(owned.poolId === identity.id, 'A pool gets the ledger of another pool');
    assert(owned.generation >= read.generation, 'The generation of a ledger falls');
    const fences = { ...unadopted, ...this.ports.fences.all };
    const holders = this.ports.holds.inLedger(identity.id);
    const counts = Object.keys(holders.volumes).flatMap((id) =>
      this.ports.countOf(id) > 0 ? [[id, this.ports.countOf(id)] as const] : [],
    );
    return { ...owned, ...holders, fences, ...(isShared ? { counts: Object.fromEntries(counts) } : {}) };
  }

  /**
   * Returns the first ledger of a pool that only earlier releases have used. These releases kept the holders in the state directory of the
   * server. Throws E_POOL if the holders are in the state directory of another server.
   */
  private fromEarlierRelease(poolId: string, state: PoolState): LedgerContent {
    const volumes = this.ports.holds.known([...volumesIn(state), ...snapshotsIn(state)]);
    const isOwn = Object.keys(volumes).length > 0 || this.ports.areRemembered(state.path, state.volumes.values());
    if (isOwn) return { poolId, generation: 0, owner: null, volumes, nodes: {}, fences: {} };
    throw new RsError(
      'E_POOL',
      'another server has used it with an earlier release, and this server does not know who holds its volumes: start that server once ' +
        `with this release; or, if every client that held one has ended, run ` +
        `rsadm pool add ${state.name} ${state.path} --no-holders`,
      { path: state.path },
    );
  }
}

/** Throws E_SYSTEM or E_POOL if the ledger is missing, is damaged, or belongs to another pool. */
async function loaded(file: StateFile<LedgerContent>, poolId: string): Promise<LedgerContent> {
  const content = await file.load();
  if (content?.poolId === poolId) return content;
  const what = content === null ? 'its ledger.json is gone' : `its ledger.json is that of pool id ${content.poolId}`;
  throw new RsError('E_POOL', `${what}, so that nobody knows who holds its volumes: ${LEDGER_FILE.remedy}`, { poolId });
}

/** Returns the ids of the volumes whose home is, or may be, the pool. */
function volumesIn({ volumes, removed, unreadable }: PoolState): string[] {
  return [...volumes.keys(), ...removed.keys(), ...unreadable];
}

/** Returns the ids of the volumes of several files that have a file in the pool. */
function partsIn({ parts }: PoolState): string[] {
  return [...parts.values()].map(({ record }) => record.volumeId);
}

function snapshotsIn({ snapshots }: PoolState): string[] {
  return [...snapshots.values()].flatMap(({ list, pending }) => [...list, ...pending]).map(({ id }) => id);
}
