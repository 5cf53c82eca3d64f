// The rounds: what happens in each one, and whether the application comes back. A seed chooses. In some rounds a server is killed at the same
// moment. Invariants: it is a problem if a commit is lost, if an earlier writer writes again, or if a node keeps a part of the application.
// The report names a time over its goal, but this is no problem, because times depend on the machine.

import { performance } from 'node:perf_hooks';
import { Ledger } from '../postgres-mirror/ledger.ts';
import { MIRROR, type Site } from '../postgres-mirror/machines.ts';
import { createMirror, differences, untilInSync } from '../postgres-mirror/replicas.ts';
import type { Scene as DrillScene } from '../support/drills/scene.ts';
import { median, seconds } from '../support/drills/table.ts';
import { killServer } from '../support/faults/machine-crash.ts';
import { removeAppGroups } from '../support/scenes/app-site.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { Application, SILENT_MS } from './application.ts';
import { ACCESS, Connection, SETTINGS, TABLES } from './connection.ts';
import { type Fault, FAULTS, type Scene, startAgain } from './faults.ts';

/** Goals for the time without a commit. */
const PLANNED_MS = 8_000;
const FAILED_MS = SILENT_MS + 10_000;
/** One round in this many kills a server. */
const SERVER_EACH = 3;
/** The database counts as open after this many commits, because the first ones may date from the moment of the fault. */
const COMMITS = 5;
const COMMIT_MS = 30_000;

export class Rounds {
  private readonly scene: DrillScene;
  private readonly site: Site;
  private readonly limit: number;
  private readonly ledger = new Ledger();
  private readonly app: Application;
  private readonly times = new Map<string, number[]>();
  private faults: Fault[] = [];

  constructor(scene: DrillScene, site: Site, limit: number) {
    [this.scene, this.site, this.limit] = [scene, site, limit];
    this.app = new Application(site, this.ledger);
    scene.hosts.onClean(removeAppGroups);
  }

  get summary(): string[] {
    const lines = [...this.times].map(
      ([kind, times]) => `${kind}: ${times.length} times, median ${seconds(median(times))}, longest ${seconds(Math.max(...times))}`,
    );
    return [...lines, `${this.ledger.commits} commits acknowledged`];
  }

  async run(): Promise<void> {
    const { app, ledger, scene, site } = this;
    const [first] = site.clients;
    const segment = await scene.netlab.segment();
    const machine = await scene.netlab.machine('app');
    await machine.plug(segment, 'eth0', '10.0.0.200/24');
    const database = app.databaseOf(first);
    await createMirror(first.host);
    await database.make({ tables: TABLES, access: ACCESS, settings: SETTINGS });
    this.scene.problem(...(await database.close()));
    await first.host.rsconfigWell('-d', MIRROR);
    await app.add(segment);
    await app.order(first, 'start');
    const connection = new Connection(machine, `${database.bin}/psql`, ledger);
    connection.start();
    try {
      await this.commitsAfter(0);
      for (let round = 1; round <= this.limit && !scene.isEnding; round++) await this.round(round, connection);
    } finally {
      await connection.stop();
    }
    await this.finish();
  }

  private async round(number: number, connection: Connection): Promise<void> {
    const { app, ledger, site } = this;
    const { random } = this.scene;
    const holder = await app.settled();
    await untilInSync(holder.host);
    const fault = this.nextFault();
    this.scene.round(`round ${number}, ${fault.name}`);
    const server = random.pick(site.servers);
    const scene: Scene = { site, app, holder, others: site.clients.filter((one) => one !== holder), server, random };
    const killsServer = random.int(1, SERVER_EACH) === 1;
    ledger.takeGap();
    const [heal] = await Promise.all([fault.strike(scene), killsServer ? killServer(server.host) : undefined]);
    const ms = await this.untilCommits(fault, scene);
    await Promise.all([heal(), killsServer ? server.host.start('rssrv') : undefined]);
    const next = await app.settled();
    if (fault.failsService === true) await app.order(next, 'start');
    this.scene.problem(...(await connection.check(next.name)));
    this.note(
      fault,
      killsServer,
      ms,
      `${number}. ${holder.name}: ${fault.name}${killsServer ? `, and ${server.name} killed` : ''}; ${next.name} has it`,
    );
  }

  /** Each fault comes once before any fault comes again. */
  private nextFault(): Fault {
    if (this.faults.length === 0) this.faults = [...FAULTS];
    const fault = this.scene.random.pick(this.faults);
    this.faults = this.faults.filter((one) => one !== fault);
    return fault;
  }

  /** Waits for commits, and returns for how many ms there was none. */
  private async untilCommits(fault: Fault, scene: Scene): Promise<number> {
    const startMs = performance.now();
    const before = this.ledger.commits;
    if (fault.endsStopped !== true) {
      await this.commitsAfter(before);
      return this.ledger.takeGap();
    }
    const first = waitFor(() => this.ledger.commits > before, COMMIT_MS, 'A commit after app start').then(
      () => performance.now() - startMs,
    );
    const [, ms] = await Promise.all([startAgain(scene), first]);
    await this.commitsAfter(before);
    return ms;
  }

  private async commitsAfter(before: number): Promise<void> {
    await waitFor(() => this.ledger.commits >= before + COMMITS, COMMIT_MS, 'Commits are acknowledged');
  }

  private note(fault: Fault, killsServer: boolean, ms: number, what: string): void {
    const kind = `${fault.name}${killsServer ? ' (and a server killed)' : ''}`;
    this.times.set(kind, [...(this.times.get(kind) ?? []), ms]);
    const goalMs = fault.isPlanned === true ? PLANNED_MS : FAILED_MS;
    this.scene.say(`${what}; first commit after ${seconds(ms)}${ms > goalMs ? `, OVER THE GOAL of ${seconds(goalMs)}` : ''}`);
  }

  /** Stops the application, and compares everything. */
  private async finish(): Promise<void> {
    const { app, scene, site } = this;
    scene.at('end');
    const holder = await app.settled();
    await app.order(holder, 'stop');
    await holder.host.rsconfigWell('-a', MIRROR);
    const database = app.databaseOf(holder);
    await database.open();
    scene.problem(...(await database.compareLedger()), ...(await database.amcheck()), ...(await database.complaints()));
    scene.problem(...(await database.close()), ...(await differences(site, holder.host)));
  }
}
