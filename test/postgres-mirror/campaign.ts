// The campaign: one machine at a time gets a fault, which a seed chooses, while PostgreSQL works on the mirror. In some rounds, the client
// with the mirror is also lost, and the other client takes the mirror over. The next fault comes when all replicas are in sync again.
// Invariant: if mirrors break a promise, a problem with a sentence is recorded. A failure that stops the campaign is an error.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import type { SeededRandom } from '@rsio/common/testing/seeded-random';
import { waitFor } from '../support/programs/wait-for.ts';
import { Database } from './database.ts';
import { CLIENT_FAULTS, SERVER_FAULTS } from './faults.ts';
import { Ledger } from './ledger.ts';
import { type ClientMachine, MIRROR, MIRROR_BYTES, type ServerMachine, type Site } from './machines.ts';

const ROUND_MS = 20_000;
/** Longest time until all replicas are in sync again. waitFor multiplies it by four. */
const SYNC_MS = 30_000;
/**
 * TAKE_OVER_EACH: one round in this many has a take-over. TAKE_OVER_WITHIN_MS: the take-over comes within this time after the beginning of
 * the fault.
 */
const TAKE_OVER_EACH = 5;
const TAKE_OVER_WITHIN_MS = 8_000;
/**
 * WITNESS_EACH: one fault of a server in this many hits the witness, unless the fault needs a replica. CLIENT_EACH: in one round in this
 * many, the fault hits the client, unless the round has a take-over.
 */
const WITNESS_EACH = 7;
const CLIENT_EACH = 4;
/**
 * Processes of a client are suspended for this long. The time is short, because a frozen device blocks other programs that ask the kernel
 * about loop devices.
 */
const STILL_SECONDS = 6;
const OLD_CLIENT_MS = STILL_SECONDS * 1_000;
const LOSSES = ['is killed', 'is cut off', 'stands still'] as const;

export interface Figures {
  rounds: number;
  readonly faults: Map<string, number>;
  takeOvers: number;
  transactions: number;
  commits: number;
  /** `gapMs`: longest gap between commits in ms, in rounds without a take-over. `takeOverGapMs`: the same for rounds with a take-over. */
  gapMs: number;
  takeOverGapMs: number;
  /**
   * Upper bound of the bytes that were copied: number of regions in which replicas were behind at their return, times the size of a region.
   */
  copiedBytes: number;
}

export class Campaign {
  readonly problems: string[] = [];
  readonly figures: Figures = {
    ...{ rounds: 0, faults: new Map<string, number>(), takeOvers: 0, transactions: 0, commits: 0 },
    ...{ gapMs: 0, takeOverGapMs: 0, copiedBytes: 0 },
  };
  /** Whether the current round is the last one. */
  isEnding = false;
  private readonly site: Site;
  private readonly random: SeededRandom;
  private readonly say: (line: string) => void;
  private readonly ledger = new Ledger();
  private holder: ClientMachine;
  private database: Database;
  private serverFaults = 0;

  constructor(site: Site, random: SeededRandom, say: (line: string) => void) {
    [this.site, this.random, this.say] = [site, random, say];
    this.holder = site.clients[0];
    this.database = new Database(this.holder, this.ledger);
  }

  async run(minutes: number): Promise<void> {
    const endMs = performance.now() + minutes * 60_000;
    const words = ['--size', `${MIRROR_BYTES / 1024 ** 2}m`, '--servers', 'pi-1,pi-2', '--witness', 'pi-3', '--attach'];
    await this.holder.host.rsconfigWell('mirror', 'create', MIRROR, ...words);
    await this.database.make();
    this.database.startLoad();
    while (performance.now() < endMs && !this.isEnding) {
      const startMs = performance.now();
      await this.round();
      await sleep(Math.max(0, startMs + ROUND_MS - performance.now()));
      this.problems.push(...this.database.failures.splice(0));
    }
    await this.finish();
  }

  private async round(): Promise<void> {
    const { figures, ledger, random } = this;
    const number = ++figures.rounds;
    this.noteGap(false);
    const commits = ledger.commits;
    const startMs = performance.now();
    const takesOver = number % TAKE_OVER_EACH === 0;
    const fault = !takesOver && number % CLIENT_EACH === 0 ? this.clientFault() : this.serverFault();
    figures.faults.set(fault.kind, (figures.faults.get(fault.kind) ?? 0) + 1);
    const loss = LOSSES[figures.takeOvers % LOSSES.length]!;
    const [, left] = await Promise.all([
      fault.strike(),
      takesOver ? sleep(random.int(0, TAKE_OVER_WITHIN_MS)).then(() => this.takeOver(loss)) : undefined,
    ]);
    const faultMs = performance.now() - startMs;
    await this.inSync();
    const syncMs = performance.now() - startMs - faultMs;
    if (left !== undefined) await this.comeBack(left, loss);
    this.problems.push(...(await this.database.readAll()));
    const gapMs = this.noteGap(takesOver);
    this.say(
      `${number}. ${fault.text}${takesOver ? `, and the client ${loss}: ${this.holder.name} takes over` : ''}: ${seconds(faultMs)}, ` +
        `in sync ${seconds(syncMs)} later; ${ledger.commits - commits} commits of the ledger, longest gap ${seconds(gapMs)}`,
    );
  }

  private serverFault(): Struck {
    const number = this.serverFaults++;
    const fault = SERVER_FAULTS[number % SERVER_FAULTS.length]!;
    const [first, second, witness] = this.site.servers as [ServerMachine, ServerMachine, ServerMachine];
    const isWitness = number % WITNESS_EACH === WITNESS_EACH - 1 && fault.needsReplica !== true;
    const server = isWitness ? witness : this.random.pick([first, second]);
    const kind = `${fault.name}${isWitness ? ' (witness)' : ''}`;
    return { kind, text: `${fault.name}, ${server.name}`, strike: () => fault.strike(server, this.random, this.holder.name) };
  }

  private clientFault(): Struck {
    const fault = CLIENT_FAULTS[Math.floor(this.figures.rounds / CLIENT_EACH) % CLIENT_FAULTS.length]!;
    return { kind: fault.name, text: `${fault.name}, ${this.holder.name}`, strike: () => fault.strike(this.holder, this.random) };
  }

  /**
   * Makes the client with the mirror fail, and continues on the other client. Returns the failed client and its database, for `comeBack`.
   */
  private async takeOver(loss: (typeof LOSSES)[number]): Promise<Left> {
    const [client, database] = [this.holder, this.database];
    const taker = this.site.clients.find((one) => one !== client)!;
    this.problems.push(...(await database.complaints()));
    database.doom();
    const pids = await client.processes();
    if (loss === 'is killed') await client.end();
    else if (loss === 'is cut off') await client.silent(true);
    else client.standStill(pids, STILL_SECONDS);
    this.figures.takeOvers++;
    const lostMs = performance.now();
    await taker.host.rsconfigWell('-a', MIRROR, '--take-over');
    const takenMs = performance.now();
    this.holder = taker;
    this.database = new Database(taker, this.ledger);
    await this.database.open();
    const openMs = performance.now();
    this.problems.push(...(await this.database.compareLedger()), ...(await this.database.readAll()));
    this.database.startLoad();
    this.say(`   ${taker.name} has the mirror after ${seconds(takenMs - lostMs)}; PostgreSQL is open ${seconds(openMs - takenMs)} later`);
    return { client, database };
  }

  /** Lets the lost machine come back. Expects that the lost machine does not change the mirror, and then restarts it. */
  private async comeBack({ client, database }: Left, loss: (typeof LOSSES)[number]): Promise<void> {
    if (loss === 'is cut off') await client.silent(false);
    if (loss !== 'is killed') {
      await sleep(OLD_CLIENT_MS);
      // The lost client must not have committed after the take-over.
      this.problems.push(...(await this.database.compareLedger()));
      const { attachments } = await client.host.call('local', {});
      if (attachments.length > 0) this.problems.push(`${client.name} still has the mirror: ${JSON.stringify(attachments)}`);
      await client.end();
    }
    await database.loadGone();
    await client.start();
    const { attachments } = await client.host.call('local', {});
    if (attachments.length > 0) this.problems.push(`${client.name} has the mirror after its start: ${JSON.stringify(attachments)}`);
  }

  /** Waits until all replicas are in sync and all voters answer. */
  private async inSync(): Promise<void> {
    let [seenBytes, said] = [0, ''];
    const isSo = async (): Promise<boolean> => {
      const { mirrors: attached } = await this.holder.host.call('status', {});
      const left = attached.flatMap(({ replicas }) => replicas).reduce((sum, { leftBytes }) => sum + (leftBytes ?? 0), 0);
      seenBytes = Math.max(seenBytes, left);
      const { mirrors } = await this.holder.host.call('mirrors', { namespace: null });
      said = JSON.stringify({ attached, mirrors });
      const [mirror] = mirrors;
      return mirror?.replicas.every((one) => one.inSync && one.isReachable) === true && mirror.voters.every(({ answers }) => answers);
    };
    try {
      await waitFor(isSo, SYNC_MS, 'All replicas are in sync and all voters answer');
    } catch (error) {
      throw new Error(`The mirror: ${said}`, { cause: error });
    }
    this.figures.copiedBytes += seenBytes;
  }

  /** Notes the longest gap between commits since the last call, and returns it in ms. */
  private noteGap(isTakeOver: boolean): number {
    const gapMs = this.ledger.takeGap();
    if (isTakeOver) this.figures.takeOverGapMs = Math.max(this.figures.takeOverGapMs, gapMs);
    else this.figures.gapMs = Math.max(this.figures.gapMs, gapMs);
    return gapMs;
  }

  private async finish(): Promise<void> {
    const { database, figures, problems } = this;
    problems.push(...(await database.stopLoad()));
    this.noteGap(false);
    figures.commits = this.ledger.commits;
    figures.transactions = await database.transactions();
    problems.push(...(await database.compareLedger()), ...(await database.readAll()), ...(await database.amcheck()));
    problems.push(...(await database.complaints()), ...(await database.close()));
    await this.inSync();
    const verified = await this.holder.host.rsconfigWell('mirror', 'verify', MIRROR);
    if (!verified.includes('the replicas are equal')) problems.push(`mirror verify: ${verified}`);
    await this.holder.host.rsconfigWell('-d', MIRROR);
    const files = this.site.servers.filter(({ hasReplica }) => hasReplica).map((server) => server.replicaFile());
    const digests = await Promise.all(files.map(digestOf));
    if (new Set(digests).size > 1) problems.push(`The replicas differ: ${files.join(', ')}`);
  }
}

interface Struck {
  readonly kind: string;
  readonly text: string;
  strike(): Promise<void>;
}

/** A client that has lost the mirror, with its database. */
interface Left {
  readonly client: ClientMachine;
  readonly database: Database;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
