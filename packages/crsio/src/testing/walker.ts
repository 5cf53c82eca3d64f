// Simulates a user of crsio's part for the client. The file is in memory, and the test determines the answers of the servers and of rsiod.
// Invariant: only the ports are made for tests; all other code is production code.

import type { AppMethods } from '@rsio/api/rsapp/app-methods';
import type { ControlMethodName, ControlMethods } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { Examination } from '@rsio/protocol/explorer/probe-report';
import { clientPart } from '../client/client-part.ts';
import type { IdentifiedServer, Ports, StoredFile } from '../client/model/ports.ts';
import type { ClientState } from '../client/model/state.ts';
import { lookAtMachine } from '../client/work/edits.ts';
import { Keyboard } from './keyboard.ts';

const FILE = '/etc/rscltcfg';

/** The file, answers and errors that crsio encounters in a test; the test may change them at any time. */
export interface World {
  file: string | null;
  machine: readonly MachineInterface[];
  servers: readonly FoundServer[];
  examine: (server: FoundServer) => Examination | Promise<Examination>;
  /** Returns the server that crsio identifies over TCP at an address that did not answer the exploration. */
  ask: (address: string) => IdentifiedServer;
  saveError: RsError | null;
  isWritable: boolean;
  hasStart: boolean;
  startError: RsError | null;
  /** The answers from rsiod, by method; null if rsiod is not running. */
  daemon: { [M in ControlMethodName]?: (params: ControlMethods[M]['params']) => ControlMethods[M]['result'] } | null;
  /** The answers from rsapp, by method; null if rsapp is not running. */
  apps: { -readonly [M in keyof AppMethods]?: (params: AppMethods[M]['params']) => AppMethods[M]['result'] } | null;
}

export class Walker extends Keyboard<ClientState> {
  readonly world: World;
  /** The requests to rsapp. */
  readonly appCalls: { readonly method: string; readonly params: unknown }[] = [];

  constructor(world: Partial<World> = {}) {
    super();
    this.world = {
      file: null,
      machine: [],
      servers: [],
      examine: () => ({ reports: [], leftOut: [], findings: [] }),
      ask: (address) => ({ finding: { kind: 'no-answer', object: address, count: 1, sentence: 'refused', remedy: 'look' } }),
      saveError: null,
      isWritable: true,
      hasStart: false,
      startError: null,
      daemon: null,
      apps: null,
      ...world,
    };
    const { isWritable, hasStart, file } = this.world;
    const size = { columns: 80, rows: 24 };
    const commands = { startCommand: 'rsiod', appStart: 'systemctl enable --now rsapp' };
    const given = { ports: this.#ports(), configFile: FILE, isWritable, ...commands, hasStart, stored: storedOf(file), size };
    this.begin(clientPart(given, this.leaving), lookAtMachine);
  }

  #ports(): Ports {
    const { world } = this;
    return {
      clock: this.clock,
      readFile: () => storedOf(world.file),
      saveFile: (text, before) => {
        if (world.saveError !== null) throw world.saveError;
        if (before?.digest !== fingerprintOf(world.file)?.digest) throw new RsError('E_CHANGED', `${FILE} was changed by somebody else`);
        world.file = text;
        return storedOf(text);
      },
      machine: () => world.machine,
      explore: (_config, _request, onFound) => {
        for (const server of world.servers) onFound(server);
        return Promise.resolve({ servers: world.servers, findings: [] });
      },
      exploreNamespace: () => Promise.resolve({ servers: world.servers, findings: [] }),
      examine: async (_config, _namespace, server, onReport) => {
        const examination = await world.examine(server);
        for (const [index, report] of examination.reports.entries()) onReport(report, index + 1, examination.reports.length);
        return examination;
      },
      identify: (_config, _namespace, address) => Promise.resolve(world.ask(address)),
      call: (method, params) => {
        this.calls.push({ method, params });
        if (world.daemon === null) return Promise.reject(new RsError('E_NOT_RUNNING', 'rsiod is not running'));
        const answer = world.daemon[method];
        return answer === undefined ? Promise.reject(new RsError('E_INTERNAL', `No answer to ${method}`)) : Promise.resolve(answer(params));
      },
      callApp: (method, params) => {
        this.appCalls.push({ method, params });
        if (world.apps === null) return Promise.reject(new RsError('E_NOT_RUNNING', 'rsapp is not running'));
        const answer = world.apps[method];
        return answer === undefined ? Promise.reject(new RsError('E_INTERNAL', `No answer to ${method}`)) : Promise.resolve(answer(params));
      },
      newId: () => 'id-1',
      startDaemon: () => {
        if (world.startError !== null) return Promise.reject(world.startError);
        world.daemon = {};
        return Promise.resolve();
      },
    };
  }
}

function storedOf(text: string | null): StoredFile {
  return { text: text ?? '', fingerprint: fingerprintOf(text) };
}

function fingerprintOf(text: string | null): { digest: string } | null {
  return text === null ? null : { digest: text };
}
