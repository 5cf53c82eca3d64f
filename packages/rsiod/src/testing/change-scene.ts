// A mirror `db` on big-9 and big-8 with the witness pi-1, two further servers, and the commands that change the mirror, for tests. The
// mirror is attached with the production decider. Invariant: the clock advances only while a command is in progress.

import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { MirrorConfig } from '@rsio/protocol/wire/mirror-messages';
import { MirrorChanges } from '../mirrors/commands/changes.ts';
import { MirrorManagement } from '../mirrors/commands/management.ts';
import { highestConfig } from '../mirrors/votes/verdicts.ts';
import { TestHeldMirror } from './held-mirrors.ts';
import { type Failure, ScriptedServer } from './mirror-servers.ts';

export const GIB = 1024 ** 3;
const quiet = { info: () => undefined, warn: () => undefined };
const NAMED = { namespace: null, name: 'db', universe: 0 };

export class ChangeScene {
  readonly clock = new FakeClock();
  steps: string[] = [];
  fails: (step: string) => Failure | null = () => null;
  readonly servers: ScriptedServer[];
  readonly management: MirrorManagement;
  readonly changes: MirrorChanges;
  mirror = '';
  held: TestHeldMirror | null = null;
  private ids = 0;

  constructor() {
    const script = (step: string): Failure | null => {
      this.steps.push(step);
      return this.fails(step);
    };
    this.servers = ['big-9', 'big-8', 'pi-1', 'big-7', 'big-6'].map((name, index) => new ScriptedServer(name, index + 1, script));
    const newId = (): string => `id-${++this.ids}`;
    const isAttached = (): boolean => this.held !== null;
    this.management = new MirrorManagement({
      log: quiet,
      namespaces: () => [{ name: 'osl', nodename: 'big-2', servers: this.servers, unreached: [] }],
      isAttached,
      mirrors: { serving: () => null },
      statusAt: () => null,
      newId,
    });
    this.changes = new MirrorChanges({
      clock: this.clock,
      log: quiet,
      management: this.management,
      isAttached,
      mirrorAt: (label) =>
        label === 'osl:db@0' && this.held !== null ? { driver: this.held, io: { volume: { blockSizeBytes: 512 } } } : null,
      newId,
    });
  }

  static async attached(servers = ['big-9', 'big-8'], witness: string | null = 'pi-1'): Promise<ChangeScene> {
    const scene = new ChangeScene();
    const made = await scene.management.create({
      ...NAMED,
      sizeBytes: GIB,
      blockSizeBytes: 512,
      pool: null,
      request: 'made',
      servers,
      witness,
    });
    scene.mirror = made.mirror.mirror;
    await scene.attach();
    return scene;
  }

  /** Attaches the mirror. A second call attaches the mirror as the next process of the same client. */
  async attach(): Promise<void> {
    for (const server of this.servers) server.client = { node: 'big-2', instance: server.client.instance + 1 };
    this.held = new TestHeldMirror(this.mirror, this.servers);
    await this.until(() => this.held?.view?.isServing === true && !this.held.view.isPending);
    this.steps = [];
  }

  add(server: string) {
    return this.run(this.changes.add({ ...NAMED, server, pool: null, request: null }));
  }

  detach(server: string, volume = false) {
    return this.run(this.changes.detach({ ...NAMED, server, volume }));
  }

  replace(server: string, other: string) {
    return this.run(this.changes.replace({ ...NAMED, server, with: other, pool: null, request: null }));
  }

  witness(witness: string | null) {
    return this.run(this.changes.witness({ ...NAMED, witness }));
  }

  async refusal(work: Promise<unknown>): Promise<RsError> {
    const error = await work.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (error instanceof RsError) return error;
    throw new Error('The command succeeded', { cause: error });
  }

  server(name: string): ScriptedServer {
    return this.servers.find((one) => one.name === name)!;
  }

  get config(): MirrorConfig {
    const records = this.servers.flatMap(({ records }) => records.get(this.mirror) ?? []);
    const answers = records.map(({ stored }) => ({ stored, voted: 0, sentence: '', voter: null, promise: null, replica: null }));
    return highestConfig(answers)!.config;
  }

  names(of: readonly { readonly serverid: number }[]): string {
    return of.map(({ serverid }) => this.servers[serverid - 1]?.name).join(' ');
  }

  /** The members and voters of the mirror, and for each server the objects that it has, as texts. */
  get shown(): { readonly members: string; readonly voters: string; readonly has: Record<string, string> } {
    const { members, voters } = this.config;
    const has = this.servers.map(({ name, left }) => [name, left.map((one) => one.split(' ')[0]).join(' ')] as const);
    return { members: this.names(members), voters: this.names(voters), has: Object.fromEntries(has) };
  }

  /** Throws if a server's replica does not match the configuration, or if a change of the mirror is not finished. */
  check(): void {
    const { members, voters, nextVoters } = this.config;
    if (nextVoters !== null) throw new Error('Two sets of voters');
    for (const { serverid, identity } of members) {
      const server = this.servers[serverid - 1]!;
      const marks = [...server.stock.values()].map(({ mark }) => mark?.identity);
      if (server.trouble === null && !marks.includes(identity)) throw new Error(`${server.name} has another replica`);
      if (!voters.some((one) => one.serverid === serverid)) throw new Error(`${server.name} does not vote`);
    }
    for (const { serverid, voter } of voters) {
      const server = this.servers[serverid - 1]!;
      if (server.trouble === null && server.records.get(this.mirror)?.voter !== voter) throw new Error(`${server.name} is another voter`);
    }
  }

  async run<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const end = (): void => void (isOver = true);
    work.then(end, end);
    await this.until(() => isOver);
    return await work;
  }

  async until(isReached: () => boolean): Promise<void> {
    for (let turn = 0; turn < 1_000; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isReached()) return;
      this.clock.advance(1_000);
      this.held?.take({ kind: 'retry' });
    }
    throw new Error(`Not reached: ${this.held?.view?.waitsFor}`);
  }
}
