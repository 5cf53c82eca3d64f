// State of a simulated server's machine that outlives its listeners: volumes, the file of holds, the incarnations of storage. A machine
// crash loses unsynced data. sim-server.ts has the processes.

import type { RsError } from '@rsio/base/lib/errors';
import { misfit } from '@rsio/base/lib/shape';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import type { Holder, OpenRequest } from '@rsio/protocol/wire/messages';
import { type Hold, meantVolume, type VolumeHolds } from '@rsio/rssrv/volumes/holds/hold-rules';
import { HOLDS_FILE, type HoldsFileContent } from '@rsio/rssrv/volumes/holds/holds-file';
import type { NodeNotes } from '@rsio/rssrv/volumes/holds/instances';
import { LEDGER_FILE, type LedgerContent } from '@rsio/rssrv/volumes/holds/ledger-file';
import type { StateForm } from '@rsio/base/files/state-file';
import type { PoolMachine } from '../pools/sim-pool.ts';
import { SimStore, type StoreMachine, type StorePorts } from '../pools/sim-store.ts';
import type { StoredVolume } from '../pools/sim-store-volumes.ts';
import type { HowTaken } from '../judges/hold-judge.ts';
import type { SimClaimant } from './sim-holds.ts';
import type { SimFacts } from './sim-facts.ts';
import { SimStateFile } from '../storage/sim-state-file.ts';
import { type SimVolume, served } from './sim-volume.ts';
import type { SimVotes } from '../votes/sim-votes.ts';

/** How a client process has asked for a volume, so that its later grant can be judged. */
interface Claim {
  readonly client: number;
  readonly how: HowTaken;
  readonly unsettledSince: string | null;
}

export class SimMachine {
  readonly file: SimStateFile<HoldsFileContent>;
  /** The ledgers of the pools, keyed by pool id. The ledgers outlive the machine; its file of holds does not. */
  readonly ledgers = new Map<string, SimStateFile<LedgerContent>>();
  private readonly random: SeededRandom;
  readonly volumes = new Map<string, SimVolume>();
  pool: PoolMachine | null = null;
  /** Pools on simulated file systems; null: the machine has no such pools. */
  stores: StoreMachine<SimVolume> | null = null;
  /** Null: the server is of an older build, and compares nothing. */
  private readonly facts: SimFacts | null;
  /** Called after a crash of the machine; null: no listener. */
  whenCrashed: (() => void) | null = null;
  /** Votes of the current listener; null: the listener does not vote for mirrors. */
  votes: SimVotes | null = null;
  private newVotes: (() => SimVotes) | null = null;
  private boots = 1;
  /** By volume and presented identity: the last client process that asked for the volume. */
  private readonly claims = new Map<string, Claim>();

  constructor(random: SeededRandom, facts: SimFacts | null) {
    this.facts = facts;
    this.file = new SimStateFile(random);
    this.random = random;
    this.file.whenKept = (content) => this.kept(HOLDS_FILE, content);
  }

  ledgerOf(poolId: string): SimStateFile<LedgerContent> {
    const known = this.ledgers.get(poolId);
    if (known !== undefined) return known;
    const ledger = new SimStateFile<LedgerContent>(this.random);
    ledger.whenKept = (content) => this.kept(LEDGER_FILE, content);
    this.ledgers.set(poolId, ledger);
    return ledger;
  }

  private kept<T extends Pick<HoldsFileContent, 'volumes'>>({ shape }: StateForm<T>, content: T): void {
    if (misfit(shape, JSON.parse(JSON.stringify(content)), 'stored') !== null)
      for (const { judge } of this.volumes.values()) judge.breach('A file of holders is kept that the next start would refuse');
    for (const [id, entry] of Object.entries(content.volumes)) {
      const volume = this.volumes.get(id);
      // Undefined for snapshots.
      if (volume !== undefined) this.decided(volume, entry);
    }
  }

  /** The notes about the instances of a node. The notes outlive the listener. */
  notesOf(node: string): readonly NodeNotes[] {
    return [this.file, ...this.ledgers.values()].flatMap(({ kept }) => kept?.nodes[node] ?? []);
  }

  /** Adds a volume without a holder. */
  add(volume: SimVolume): void {
    this.volumes.set(volume.id, volume);
    if (!volume.isPooled) this.facts?.keep(served(volume), volume.stamp);
  }

  /** Gives the machine a file system for the records of mirrors. */
  openVotes(newVotes: () => SimVotes): void {
    this.newVotes = newVotes;
    this.votes = newVotes();
  }

  /** A listener has started; records its volumes. */
  starts(holdersOf: (volume: string) => readonly Holder[]): void {
    this.votes = this.newVotes?.() ?? null;
    for (const { id, judge } of this.volumes.values()) judge.starts(holdersOf(id).map(({ node }) => node));
    for (const volume of this.volumes.values())
      if (!volume.isPooled && this.whyNotServed(volume, holdersOf(volume.id)) === null) this.facts?.keep(served(volume), volume.stamp);
  }

  /** The volume to which an OPEN refers. */
  meant(request: OpenRequest): SimVolume | null {
    const { universe } = request;
    // A removed volume of a pool has no config.
    const served = [...this.volumes.values()].filter(({ isPooled, config }) => !isPooled || config !== null);
    const named = served.map((volume) => ({ id: volume.id, name: volume.config?.name ?? volume.name, universe, volume }));
    return meantVolume(named, request)?.volume ?? null;
  }

  whyNotServed(volume: SimVolume, holders: readonly Holder[]): RsError | null {
    if (volume.isPooled) return null;
    return this.facts?.whyNot(served(volume), volume.stamp, holders) ?? null;
  }

  incarnationOf(volume: string): string {
    return `${this.boots}.${this.volumes.get(volume)?.oracle.incarnations ?? 0}`;
  }

  /** Ends the incarnation of a storage, which may have lost written data. */
  incarnationEnded(volume: string): void {
    this.volumes.get(volume)?.incarnationEnded();
  }

  /** Ends the incarnation of a storage like `incarnationEnded`, because a sync has failed. */
  lost(volume: string): void {
    this.volumes.get(volume)?.lost();
  }

  /** Makes the pools on its file systems for one listener; null: the machine has none. */
  newStore(ports: Omit<StorePorts<SimVolume>, 'machine' | 'volumes' | 'incarnationOf'>): SimStore | null {
    const { stores: machine, volumes } = this;
    if (machine === null) return null;
    const all: StorePorts<SimVolume> = { ...ports, machine, volumes, incarnationOf: (id) => this.incarnationOf(id) };
    return new SimStore(all as unknown as StorePorts<StoredVolume>);
  }

  /** Crashes the machine, all of whose processes are dead already. */
  crashed(): void {
    this.boots++;
    // The next machine with the pool has its own state directory, which contains nothing about the volumes of the pool.
    const { kept } = this.file;
    const isElsewhere = (id: string): boolean => this.volumes.get(id)?.pool === undefined;
    if (kept !== null)
      this.file.kept = { ...kept, volumes: Object.fromEntries(Object.entries(kept.volumes).filter(([id]) => isElsewhere(id))) };
    this.pool?.disk.crashed(this.pool.random);
    for (const files of this.stores?.files ?? []) files.crashed(this.stores!.random);
    for (const volume of this.volumes.values()) volume.crashed();
    this.whenCrashed?.();
  }

  /** The server handles a client's OPEN of a volume. Notes how the client asks, so that a later grant can be judged. */
  claimed(volume: SimVolume, claimant: SimClaimant, how: HowTaken): void {
    const unsettledSince = volume.judge.unsettledSince(this.incarnationOf(volume.id));
    // A replica always counts as taken by force, because the claim of its mirror has ended the hold without asking its holder.
    const given = volume.replica === null ? { how, unsettledSince } : { how: 'force' as const, unsettledSince: null };
    this.claims.set(keyOf(volume, claimant), { client: claimant.client, ...given });
  }

  decided(volume: SimVolume, { holds }: VolumeHolds): void {
    for (const hold of holds) {
      const claim = this.claims.get(keyOf(volume, hold));
      if (claim !== undefined) volume.decided({ node: hold.node, epoch: hold.epoch, ...claim });
    }
  }
}

function keyOf({ id }: SimVolume, { node, machine, instance, process }: Pick<Hold, 'node' | 'machine' | 'instance' | 'process'>): string {
  return `${id} ${node} ${machine} ${instance} ${process}`;
}
