// Simulates a user of crsio's part for the server without a terminal: presses keys, types text, and reads the screen as text. The file is in
// a folder of the test, which determines the answers of rssrv. Everything between the keyboard and the ports is production code.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import type { ServerMethodName, ServerMethods } from '@rsio/common/control/server/server-methods';
import { RsError } from '@rsio/common/lib/errors';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import type { MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import { DAEMON_ANSWER, listeningInterface, SERVER_FILE_HEAD } from '@rsio/common/testing/server-views';
import { onTestFinished } from 'vitest';
import { draw } from '../machine/draw.ts';
import { Session } from '../machine/session.ts';
import type { ServerPorts } from '../server/model/ports.ts';
import type { ServerState } from '../server/model/state.ts';
import { serverPart } from '../server/server-part.ts';
import { tick } from '../server/work/looking.ts';
import { SIGNS } from '../widgets/border.ts';
import type { Run, Size } from '../widgets/canvas.ts';
import type { KeyName } from '../widgets/keys.ts';

export const SERVER_TEXT = `${SERVER_FILE_HEAD}[pool fast]
path = /srv/fast

[volume tvol1]
type = memory
size = 1g

[clients]
big-2 z2bqehhz57cbs2vh8e9vvyhue9sfr8eb
venus z2bqehhz57cbs2vh8e9vvyhue9sfr8ec
`;

type Answers = { [M in ServerMethodName]?: (params: ServerMethods[M]['params']) => ServerMethods[M]['result'] };

/** The file, the answers and the errors that crsio encounters in a test; the test may change them at any time. */
export interface ServerWorld {
  /** The error of reading it, if it cannot be read. */
  file: string | RsError;
  hasStart: boolean;
  size: Size;
  /** The answers of rssrv, by method; null if rssrv is not running; 'silent' if it never answers. */
  daemon: Answers | null | 'silent';
  machine: readonly MachineInterface[];
}

/** Answers of a server without pools, volumes and clients, some of them replaced. */
export function answers(changes: Answers = {}): Answers {
  return {
    daemon: () => DAEMON_ANSWER,
    'pool-list': () => ({ pools: [] }),
    'volume-list': () => ({ volumes: [], removed: [] }),
    'client-list': () => ({ clients: [] }),
    'interface-list': () => ({ interfaces: [listeningInterface()] }),
    'config-check': () => ({ changes: [], warnings: [] }),
    reload: () => ({ applied: [] }),
    ...changes,
  };
}

export class ServerWalker {
  readonly world: ServerWorld;
  readonly configFile: string;
  readonly clock = new FakeClock();
  /** The requests that change something, or that rssrv answers slowly. */
  readonly calls: { readonly method: string; readonly params: unknown }[] = [];
  hasLeft = false;
  atStart = false;
  /** Number of keys and characters so far. */
  keys = 0;
  readonly #session: Session<ServerState>;

  private constructor(world: Partial<ServerWorld>) {
    this.world = { file: SERVER_TEXT, hasStart: false, size: { columns: 80, rows: 24 }, daemon: answers(), machine: [], ...world };
    const folder = mkdtempSync(join(tmpdir(), 'rsio-cs-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    this.configFile = join(folder, 'rssrvcfg');
    writeFileSync(this.configFile, typeof this.world.file === 'string' ? this.world.file : SERVER_TEXT, { mode: 0o600 });
    const ports = this.#ports();
    const { hasStart, size } = this.world;
    const leaving = {
      showStart: () => {
        this.atStart = true;
      },
      end: () => {
        this.hasLeft = true;
      },
    };
    const state = serverPart({ ports, configFile: '/etc/dvsc/rssrvcfg', startCommand: 'rssrv', hasStart, size }, leaving);
    this.#session = new Session(state, this.clock, () => {});
  }

  /** crsio after its first look at the server. */
  static async start(world: Partial<ServerWorld> = {}): Promise<ServerWalker> {
    const walker = new ServerWalker(world);
    walker.#session.dispatch(tick);
    await settled();
    return walker;
  }

  /** The text of the file. */
  file(): string {
    return readFileSync(this.configFile, 'utf8');
  }

  get state(): ServerState {
    return this.#session.state;
  }

  /** Presses keys, or types the text of `{text}`; then waits until all started effects have finished. */
  async press(...inputs: readonly (KeyName | { readonly text: string })[]): Promise<void> {
    for (const input of inputs) {
      this.keys += typeof input === 'string' ? 1 : input.text.length;
      this.#session.dispatch(typeof input === 'string' ? { kind: 'key', key: input } : { kind: 'text', text: input.text });
      await settled();
    }
  }

  /** Uses the keyboard to select the line or choice that contains the text. */
  async choose(label: string): Promise<void> {
    const seen = new Set<string>();
    for (let marked = this.marked(); !marked.includes(label); marked = this.marked()) {
      if (seen.has(marked)) throw new Error(`No line to choose with ${label}:\n${this.screen()}`);
      seen.add(marked);
      await this.press('down');
    }
    await this.press('enter');
  }

  /** Advances the clock. */
  async pass(durationMs: number): Promise<void> {
    this.clock.advance(durationMs);
    await settled();
  }

  rows(): readonly (readonly Run[])[] {
    return draw(this.state, SIGNS.ascii).canvas.rows();
  }

  /** Lines without trailing spaces. */
  screen(): string {
    const lines = this.rows().map((runs) => runs.map(({ text }) => text).join(''));
    return lines.map((line) => line.trimEnd()).join('\n');
  }

  /** Text of the screen as one line without the frame. */
  words(): string {
    return this.screen().replaceAll(/[|\s]+/g, ' ');
  }

  question(): string | null {
    return this.state.popups.at(-1)?.text ?? null;
  }

  marked(): string {
    const popup = this.state.popups.at(-1);
    if (popup !== undefined) return popup.choices[popup.focus]?.label ?? '';
    return (
      this.screen()
        .split('\n')
        .find((line) => line.startsWith('| > ')) ?? ''
    );
  }

  #ports(): ServerPorts {
    const { world } = this;
    let ids = 0;
    const call: ServerPorts['call'] = (method, params) => {
      if (!READS.includes(method)) this.calls.push({ method, params });
      if (world.daemon === null) return Promise.reject(new RsError('E_NOT_RUNNING', 'rssrv is not running: start it with: rssrv'));
      if (world.daemon === 'silent') return new Promise(() => {});
      const answer = world.daemon[method];
      if (answer === undefined) return Promise.reject(new RsError('E_INTERNAL', `No answer to ${method}`));
      return new Promise((resolve) => {
        resolve(answer(params));
      });
    };
    return {
      clock: this.clock,
      configFile: this.configFile,
      readConfig: () => {
        if (world.file instanceof RsError) throw world.file;
        return loadRssrvConfig(this.configFile);
      },
      machine: () => world.machine,
      call,
      newId: () => `id-${(ids += 1)}`,
      newKey: () => 'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk',
    };
  }
}

const READS: readonly ServerMethodName[] = ['daemon', 'pool-list', 'volume-list', 'client-list', 'interface-list', 'config-check'];

/** Waits until every started effect has finished, except effects that wait for the clock or for a silent server. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
