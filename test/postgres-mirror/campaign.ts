// The campaign: one machine at a time gets a fault, which a seed chooses, while PostgreSQL works on the mirror. In some rounds, the client
// with the mirror is also lost, and the other client takes the mirror over. The next fault comes when all replicas are in sync again.
// Invariant: each promise that a mirror breaks is recorded as a problem, in a sentence. A failure that stops the campaign is an error.

import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scene } from '../support/drills/scene.ts';
import { counted, seconds } from '../support/drills/table.ts';
import { Database } from './database.ts';
import { CLIENT_FAULTS, SERVER_FAULTS } from './faults.ts';
import { Ledger } from './ledger.ts';
import { type ClientMachine, MIRROR, type ServerMachine, type Site } from './machines.ts';
import { createMirror, differences, untilInSync } from './replicas.ts';

const ROUND_MS = 20_000;
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

interface Figures {
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
  private readonly figures: Figures = {
    rounds: 0,
    faults: new Map<string, number>(),
    takeOvers: 0,
    transactions: 0,
    commits: 0,
    gapMs: 0,
    takeOverGapMs: 0,
    copiedBytes: 0,
  };
  private readonly scene: Scene;
  private readonly site: Site;
  private readonly minutes: number;
  private readonly ledger = new Ledger();
  private holder: ClientMachine;
  private database: Database;
  private serverFaults = 0;

  constructor(scene: Scene, site: Site, minutes: number) {
    [this.scene, this.site, this.minutes] = [scene, site, minutes];
    this.holder = site.clients[0];
    this.database = new Database(this.holder, this.ledger);
  }

  get summary(): string[] {
    const { rounds, faults, takeOvers, transactions, commits, gapMs, takeOverGapMs, copiedBytes } = this.figures;
    return [
      `${rounds} rounds: ${counted(faults)}; ${takeOvers} take-overs`,
      `${transactions} transactions of pgbench and ${commits} of the ledger; at most ${Math.round(copiedBytes / 1024 ** 2)} MiB copied`,
      `longest gap of commits ${seconds(gapMs)}, in rounds with a take-over ${seconds(takeOverGapMs)}`,
    ];
  }

  async run(): Promise<void> {
    const endMs = performance.now() + this.minutes * 60_000;
    await createMirror(this.holder.host);
    await this.database.make();
    this.database.startLoad();
    while (performance.now() < endMs && !this.scene.isEnding) {
      const startMs = performance.now();
      await this.round();
      await sleep(Math.max(0, startMs + ROUND_MS - performance.now()));
      this.scene.problem(...this.database.failures.splice(0));
    }
    await this.finish();
  }

  private async round(): Promise<void> {
    const { figures, ledger } = this;
    const { random } = this.scene;
    const number = ++figures.rounds;
    this.scene.round(`round ${number}`);
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
    figures.copiedBytes += await untilInSync(this.holder.host);
    const syncMs = performance.now() - startMs - faultMs;
    if (left !== undefined) await this.comeBack(left, loss);
    this.scene.problem(...(await this.database.readAll()));
    const gapMs = this.noteGap(takesOver);
    this.scene.say(
      `${number}. ${fault.text}${takesOver ? `, and the client ${loss}: ${this.holder.name} takes over` : ''}: ${seconds(faultMs)}, ` +
        `in sync ${seconds(syncMs)} later; ${ledger.commits - commits} commits of the ledger, longest gap ${seconds(gapMs)}`,
    );
  }

  private serverFault(): Struck {
    const number = this.serverFaults++;
    const fault = SERVER_FAULTS[number % SERVER_FAULTS.length]!;
    const [first, second, witness] = this.site.servers as [ServerMachine, ServerMachine, ServerMachine];
    const isWitness = number % WITNESS_EACH === WITNESS_EACH - 1 && fault.needsReplica !== true;
    const server = isWitness ? witness : this.scene.random.pick([first, second]);
    const kind = `${fault.name}${isWitness ? ' (witness)' : ''}`;
    return { kind, text: `${fault.name}, ${server.name}`, strike: () => fault.strike(server, this.scene.random, this.holder.name) };
  }

  private clientFault(): Struck {
    const fault = CLIENT_FAULTS[Math.floor(this.figures.rounds / CLIENT_EACH) % CLIENT_FAULTS.length]!;
    return { kind: fault.name, text: `${fault.name}, ${this.holder.name}`, strike: () => fault.strike(this.holder, this.scene.random) };
  }

  /**
   * Makes the client with the mirror fail, and continues on the other client. Returns the failed client and its database, for `comeBack`.
   */
  private async takeOver(loss: (typeof LOSSES)[number]): Promise<Left> {
    const [client, database] = [this.holder, this.database];
    const taker = this.site.clients.find((one) => one !== client)!;
    this.scene.problem(...(await database.complaints()));
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
    this.scene.problem(...(await this.database.compareLedger()), ...(await this.database.readAll()));
    this.database.startLoad();
    this.scene.say(
      `   ${taker.name} has the mirror after ${seconds(takenMs - lostMs)}; PostgreSQL is open ${seconds(openMs - takenMs)} later`,
    );
    return { client, database };
  }

  /** Lets the lost machine come back. Expects that the lost machine does not change the mirror, and restarts the machine. */
  private async comeBack({ client, database }: Left, loss: (typeof LOSSES)[number]): Promise<void> {
    if (loss === 'is cut off') await client.silent(false);
    if (loss !== 'is killed') {
      await sleep(OLD_CLIENT_MS);
      // The lost client must not have committed after the take-over.
      this.scene.problem(...(await this.database.compareLedger()));
      const { attachments } = await client.host.call('local', {});
      if (attachments.length > 0) this.scene.problem(`${client.name} still has the mirror: ${JSON.stringify(attachments)}`);
      await client.end();
    }
    await database.loadGone();
    await client.start();
    const { attachments } = await client.host.call('local', {});
    if (attachments.length > 0) this.scene.problem(`${client.name} has the mirror after its start: ${JSON.stringify(attachments)}`);
  }

  /** Notes the longest gap between commits since the last call, and returns it in ms. */
  private noteGap(isTakeOver: boolean): number {
    const gapMs = this.ledger.takeGap();
    if (isTakeOver) this.figures.takeOverGapMs = Math.max(this.figures.takeOverGapMs, gapMs);
    else this.figures.gapMs = Math.max(this.figures.gapMs, gapMs);
    return gapMs;
  }

  private async finish(): Promise<void> {
    const { database, figures, scene } = this;
    scene.at('end');
    scene.problem(...(await database.stopLoad()));
    this.noteGap(false);
    figures.commits = this.ledger.commits;
    figures.transactions = await database.transactions();
    scene.problem(...(await database.compareLedger()), ...(await database.readAll()), ...(await database.amcheck()));
    scene.problem(...(await database.complaints()), ...(await database.close()));
    scene.problem(...(await differences(this.site, this.holder.host)));
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
