// Simulates a user of crsio without a terminal: presses keys, types text, and reads the screen as text. The file is in memory, and the test
// determines the answers from the servers and from rsiod. Everything between the keyboard and the ports is production code.

import type { ControlMethodName, ControlMethods } from '@rsio/common/control/methods';
import { RsError } from '@rsio/common/lib/errors';
import { FakeClock } from '@rsio/common/testing/fake-clock';
import type { FoundServer } from '@rsio/protocol/explorer/discovery/exploration';
import type { MachineInterface } from '@rsio/protocol/explorer/network/interfaces';
import type { Examination } from '@rsio/protocol/explorer/probe/probe-report';
import { clientPart } from '../client/client-part.ts';
import type { IdentifiedServer, Ports, StoredFile } from '../client/model/ports.ts';
import type { ClientState } from '../client/model/state.ts';
import { lookAtMachine } from '../client/work/edits.ts';
import { draw } from '../machine/draw.ts';
import { Session } from '../machine/session.ts';
import { SIGNS } from '../widgets/border.ts';
import type { Size } from '../widgets/canvas.ts';
import type { KeyName } from '../widgets/keys.ts';

const FILE = '/etc/rscltcfg';

/** The file, answers and errors that crsio encounters in a test; the test may change them at any time. */
export interface World {
  file: string | null;
  machine: readonly MachineInterface[];
  servers: readonly FoundServer[];
  examine: (server: FoundServer) => Examination | Promise<Examination>;
  /** Identifies a server over TCP, at an address that did not answer the exploration. */
  ask: (address: string) => IdentifiedServer;
  saveError: RsError | null;
  isWritable: boolean;
  hasStart: boolean;
  startError: RsError | null;
  /** The answers from rsiod, by method; null if rsiod is not running. */
  daemon: { [M in ControlMethodName]?: (params: ControlMethods[M]['params']) => ControlMethods[M]['result'] } | null;
}

export class Walker {
  readonly world: World;
  readonly clock = new FakeClock();
  readonly calls: { readonly method: string; readonly params: unknown }[] = [];
  hasLeft = false;
  atStart = false;
  readonly #session: Session<ClientState>;

  constructor(world: Partial<World> = {}) {
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
      ...world,
    };
    const { isWritable, hasStart, file } = this.world;
    const leaving = {
      showStart: () => {
        this.atStart = true;
      },
      end: () => {
        this.hasLeft = true;
      },
    };
    const size = { columns: 80, rows: 24 };
    const given = { ports: this.#ports(), configFile: FILE, isWritable, startCommand: 'rsiod', hasStart, stored: storedOf(file), size };
    this.#session = new Session(clientPart(given, leaving), this.clock, () => {});
    this.#session.dispatch(lookAtMachine);
  }

  get state(): ClientState {
    return this.#session.state;
  }

  /** Presses keys, or types the text of `{text}`; then waits until all started effects have finished. */
  async press(...inputs: readonly (KeyName | { readonly text: string })[]): Promise<void> {
    for (const input of inputs) {
      this.#session.dispatch(typeof input === 'string' ? { kind: 'key', key: input } : { kind: 'text', text: input.text });
      await settled();
    }
  }

  /** Uses the keyboard to select the list line that contains the text. */
  async choose(label: string): Promise<void> {
    const seen = new Set<string>();
    for (let marked = this.#marked(); !marked.includes(label); marked = this.#marked()) {
      if (seen.has(marked)) throw new Error(`No line to choose with ${label}:\n${this.screen()}`);
      seen.add(marked);
      await this.press('down');
    }
    await this.press('enter');
  }

  resize(size: Size): void {
    this.#session.dispatch({ kind: 'resized', size });
  }

  /** Advances the clock. */
  async pass(durationMs: number): Promise<void> {
    this.clock.advance(durationMs);
    await settled();
  }

  /** Lines without trailing spaces. */
  screen(): string {
    const rows = draw(this.state, SIGNS.ascii).canvas.rows();
    return rows
      .map((runs) =>
        runs
          .map(({ text }) => text)
          .join('')
          .trimEnd(),
      )
      .join('\n');
  }

  question(): string | null {
    return this.state.popups.at(-1)?.text ?? null;
  }

  /** Text of the screen as one line without the frame. */
  words(): string {
    return this.screen().replaceAll(/[|\s]+/g, ' ');
  }

  #marked(): string {
    const popup = this.state.popups.at(-1);
    if (popup !== undefined) return popup.choices[popup.focus]?.label ?? '';
    const lines = this.screen().split('\n');
    return lines.find((line) => line.startsWith('| > ')) ?? '';
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

/** Waits until every started effect has finished, except effects that wait for the clock. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
