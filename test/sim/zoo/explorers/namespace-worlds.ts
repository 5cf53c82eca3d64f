// Three servers with the production code for files of the namespace, and an administrator who edits a file, applies it (also an old copy, or
// two at once) and gives a client another key (G53). Servers are away at times. Invariants: a server that accepts the key of the client goes on
// accepting it; an old key ends only where every server has the new one; the administrator keeps the right admin; a server never goes back to an
// older file.

import { createHash } from 'node:crypto';
import { NamespaceSpread } from '@rsio/api/manage/namespace-spread';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { RsError } from '@rsio/base/lib/errors';
import { canonicalText } from '@rsio/common/config/namespace-file';
import { parseIni, printIni } from '@rsio/common/config/reader/ini-document';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import { clientKeys } from '@rsio/common/config/schema/client-keys';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { NamespaceFiles } from '@rsio/rssrv/admin/namespace/namespace-handlers';
import { clientAsker } from '@rsio/rssrv/pools/asker';

const STEPS = 40;
const SERVERS = 3;
const ADMIN_KEY = 'the-key-of-the-admin';

interface Server {
  readonly number: number;
  text: string;
  isAway: boolean;
  /** The key that the session of venus uses; null: it has no session. */
  session: string | null;
  readonly files: NamespaceFiles;
  /** Generation and hash of each file that the server has taken, in order. */
  readonly taken: { readonly generation: number; readonly hash: string }[];
}

class NamespaceWorld {
  fault: string | null = null;
  private readonly random: SeededRandom;
  private readonly servers: readonly Server[];
  private keys = 1;
  /** The key of venus in the file, and the one that venus has. */
  private fileKey = keyNumber(1);
  private venusKey = keyNumber(1);
  private rights = 'use';
  private isAdminInFile = true;
  private readonly copies: string[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.servers = Array.from({ length: SERVERS }, (_, number) => this.newServer(number));
  }

  private newServer(number: number): Server {
    const server: Server = {
      number,
      text: firstText(number),
      isAway: false,
      session: keyNumber(1),
      taken: [],
      files: new NamespaceFiles({
        clock: new FakeClock(),
        log: { info: () => undefined, error: () => undefined },
        store: () => ({ load: async () => null, save: async () => undefined }),
        hash: async (text) => cheapHash(text),
        config: () => configOf(server),
        document: () => parseIni(server.text),
        check: async () => undefined,
        change: async (edit) => {
          const after = printIni(edit(parseIni(server.text)));
          parseRssrvConfig(after, 'rssrvcfg');
          server.text = after;
          // A session by a key that is not valid any more ends.
          if (server.session !== null && !venusKeys(server).includes(server.session)) server.session = null;
        },
        clients: () => [{ name: 'venus', sessionKey: sessionKeyOf(server), volumes: [] }],
        checkFence: () => undefined,
      }),
    };
    return server;
  }

  async step(): Promise<void> {
    const { random } = this;
    const server = random.pick(this.servers);
    switch (random.int(0, 9)) {
      case 0:
        if (random.chance(0.5)) this.fileKey = keyNumber(++this.keys);
        return;
      case 1:
        this.rights = random.pick(['use', 'manage', 'use iops=100']);
        this.isAdminInFile = random.chance(0.9);
        return;
      case 2:
        // Somebody gives the client the key of the file, where a server has it already.
        if (this.servers.some((one) => venusKeys(one).includes(this.fileKey))) this.venusKey = this.fileKey;
        return;
      case 3:
        server.isAway = random.chance(0.4);
        return;
      case 4:
      case 5:
        server.session = !server.isAway && venusKeys(server).includes(this.venusKey) ? this.venusKey : null;
        return;
      case 9: {
        // An order about the client alone, as rsconfig client rekey gives it. The file does not have the key.
        const key = random.chance(0.5) ? this.venusKey : keyNumber(++this.keys);
        const text = `[namespace osl]\nnamespaceid = 200\n[client venus]\nkey = ${key}\n`;
        await this.judged(() => this.apply(text, true));
        if (random.chance(0.5) && this.servers.some((one) => venusKeys(one).includes(key))) this.venusKey = key;
        return;
      }
      case 6:
        // Two persons apply at once; one of them may have an old copy.
        await this.judged(() =>
          Promise.all([this.apply(this.file()), this.apply(this.copies.length === 0 ? this.file() : random.pick(this.copies))]),
        );
        return;
      default:
        await this.judged(() => this.apply(this.file()));
    }
  }

  private file(): string {
    const admin = this.isAdminInFile ? 'admin' : 'manage';
    const text = canonicalText(
      parseIni(
        `[namespace osl]\nnamespaceid = 200\n[client admin]\nkey = ${ADMIN_KEY}\nrights = ${admin}\n[client venus]\nkey = ${this.fileKey}\nrights = ${this.rights}\n`,
      ),
    );
    if (this.isAdminInFile) this.copies.push(text);
    return text;
  }

  private async apply(text: string, isPart = false): Promise<unknown> {
    const spread = new NamespaceSpread<Server>({
      atOnce: 2,
      applied: async (server) => {
        await this.reach(server);
        return (await this.handlers(server)['namespace-show']({})).applied;
      },
      apply: async (server, params) => {
        await this.reach(server);
        const answer = await this.handlers(server)['namespace-apply'](params);
        if (answer.applied !== null) server.taken.push({ generation: answer.applied.generation, hash: answer.applied.hash });
        return answer;
      },
    });
    const order = { text, plan: false, clients: 'any', prune: false } as const;
    return spread.give(
      this.servers,
      isPart ? { ...order, part: true, endKeys: ['venus'], hash: null } : { ...order, part: false, endKeys: null, hash: cheapHash(text) },
    );
  }

  private handlers(server: Server): ReturnType<NamespaceFiles['handlers']> {
    return server.files.handlers(clientAsker('admin', configOf(server)));
  }

  /** A request takes a few turns of the event loop, or fails. */
  private async reach(server: Server): Promise<void> {
    for (let turns = this.random.int(0, 5); turns > 0; turns--) await Promise.resolve();
    if (server.isAway) throw new RsError('E_NO_PATH', 'away');
  }

  private async judged(work: () => Promise<unknown>): Promise<void> {
    const before = this.servers.map((server) => venusKeys(server));
    await work();
    for (const server of this.servers) this.judge(server, before[server.number]!);
  }

  private judge(server: Server, had: readonly string[]): void {
    const keys = venusKeys(server);
    const config = configOf(server);
    if (had.includes(this.venusKey) && !keys.includes(this.venusKey))
      this.fails(`server ${server.number} refuses the key that the client has`);
    const ended = had.some((key) => !keys.includes(key));
    if (ended && this.servers.some((one) => !venusKeys(one).includes(keys[0]!)))
      this.fails(`server ${server.number} has ended an old key, and another server does not have the new one`);
    if (!clientAsker('admin', config).has('admin') || !config.clients.some(({ key }) => key === ADMIN_KEY))
      this.fails(`server ${server.number} has shut out the administrator`);
    server.taken.forEach(({ generation, hash }, at) => {
      const earlier = server.taken[at - 1];
      if (earlier !== undefined && (generation < earlier.generation || (generation === earlier.generation && hash !== earlier.hash)))
        this.fails(`server ${server.number} went from generation ${earlier.generation} to ${generation}`);
    });
  }

  private fails(what: string): void {
    this.fault ??= `G53: ${what}`;
  }
}

/** The real hash takes a tenth of a second. */
const cheapHash = (text: string): string => createHash('sha256').update(text).digest('hex');
const keyNumber = (number: number): string => `the-key-of-venus-${number}`;

function firstText(number: number): string {
  return `[namespace osl]\nnamespaceid = 200\n[server pi-${number}]\nserverid = ${number}\n[interface if0]\naddress = 10.0.0.${number + 1}\n[clients]\nadmin ${ADMIN_KEY}\nvenus ${keyNumber(1)}\n[rights]\nadmin admin\n`;
}

function configOf({ text }: Server): RssrvConfig {
  return parseRssrvConfig(text, 'rssrvcfg');
}

function venusKeys(server: Server): readonly string[] {
  const venus = configOf(server).clients.find(({ name }) => name === 'venus');
  return venus === undefined ? [] : clientKeys(venus);
}

function sessionKeyOf(server: Server): 'old' | 'new' | null {
  const keys = venusKeys(server);
  return server.session === null || keys.length < 2 ? null : server.session === keys[0] ? 'old' : 'new';
}

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function namespaceWorld(seed: number): Promise<string | null> {
  const world = new NamespaceWorld(seed);
  for (let step = 0; step < STEPS && world.fault === null; step++) await world.step();
  return world.fault;
}
