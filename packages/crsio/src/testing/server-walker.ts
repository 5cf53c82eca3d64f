// Simulates a user of crsio's part for the server. The file is in a folder made for the test, and the test determines the answers of rssrv.
// Invariant: only the ports are made for tests; all other code is production code.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRssrvConfig } from '@rsio/common/config/load-config';
import type { ServerMethodName, ServerMethods } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { DAEMON_ANSWER, listeningInterface } from '@rsio/api/testing/server-views';
import { SERVER_FILE_HEAD } from '@rsio/common/testing/sample-rssrvcfg';
import { onTestFinished } from 'vitest';
import type { ServerPorts } from '../server/model/ports.ts';
import type { ServerState } from '../server/model/state.ts';
import { serverPart } from '../server/server-part.ts';
import { tick } from '../server/work/looking.ts';
import type { Size } from '../widgets/canvas.ts';
import { Keyboard, settled } from './keyboard.ts';

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
  /** The text of the file, or the error with which reading the file fails. */
  file: string | RsError;
  hasStart: boolean;
  size: Size;
  /** The answers of rssrv, by method; null if rssrv is not running; 'silent' if rssrv never answers. */
  daemon: Answers | null | 'silent';
  machine: readonly MachineInterface[];
}

/** Returns the answers of a server without pools, volumes and clients. `changes` replaces some of these answers. */
export function answers(changes: Answers = {}): Answers {
  return {
    daemon: () => ({ ...DAEMON_ANSWER, methods: ['farm-show'] }),
    'pool-list': () => ({ pools: [] }),
    'farm-show': () => ({ server: 'big-9', pools: [] }),
    'volume-list': () => ({ volumes: [], removed: [] }),
    'client-list': () => ({ clients: [] }),
    'interface-list': () => ({ interfaces: [listeningInterface()] }),
    'job-list': () => ({ jobs: [] }),
    'replication-list': () => ({ replications: [] }),
    'config-check': () => ({ changes: [], warnings: [] }),
    reload: () => ({ applied: [] }),
    ...changes,
  };
}

export class ServerWalker extends Keyboard<ServerState> {
  readonly world: ServerWorld;
  readonly configFile: string;

  private constructor(world: Partial<ServerWorld>) {
    super();
    this.world = { file: SERVER_TEXT, hasStart: false, size: { columns: 80, rows: 24 }, daemon: answers(), machine: [], ...world };
    const folder = mkdtempSync(join(tmpdir(), 'rsio-cs-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    this.configFile = join(folder, 'rssrvcfg');
    writeFileSync(this.configFile, typeof this.world.file === 'string' ? this.world.file : SERVER_TEXT, { mode: 0o600 });
    const { hasStart, size } = this.world;
    const given = { ports: this.#ports(), configFile: '/etc/dvsc/rssrvcfg', startCommand: 'rssrv', hasStart, size };
    this.begin(serverPart(given, this.leaving), tick);
  }

  /** Starts crsio, and resolves after crsio's first look at the server. */
  static async start(world: Partial<ServerWorld> = {}): Promise<ServerWalker> {
    const walker = new ServerWalker(world);
    await settled();
    return walker;
  }

  /** Returns the text of the file. */
  file(): string {
    return readFileSync(this.configFile, 'utf8');
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

const READS: readonly ServerMethodName[] = [
  ...(['daemon', 'pool-list', 'farm-show', 'volume-list', 'client-list', 'interface-list', 'config-check'] as const),
  ...(['job-list', 'replication-list', 'volume-show'] as const),
];
