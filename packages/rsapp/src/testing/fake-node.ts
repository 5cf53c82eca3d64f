// A node for tests: rsiod and its servers, and the machine of node a, all in memory. Steps are noted in `did`; those in `failing` fail.
// Invariant: every change of the world is either a step of rsapp or a field that a test sets.

import type { ApplicationConfig } from '@rsio/common/config/schema/types';
import type { Change } from '@rsio/common/events/event-history';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { startedNote } from '../decider/decide.ts';
import { changed, parseNote, printNote } from '../decider/note.ts';
import type { Machine, MachineState } from '../machine/machine.ts';
import { AppRunner } from '../runner/app-runner.ts';
import type { Sight, Volumes } from '../sight/rsiod-sight.ts';

export const APP: ApplicationConfig = {
  name: 'pg',
  volumes: ['db', 'wal'],
  mounts: [{ volume: null, path: '/m' }],
  mountOptions: null,
  check: '/c',
  address: null,
  service: { kind: 'unit', unit: 'pg.service' },
  nodes: ['a', 'b'],
  silentMs: 10_000,
  startDelayMs: 10_000,
  startTimeoutMs: 1000,
  stopTimeoutMs: 1000,
  checkIntervalMs: 5000,
  checkTimeoutMs: 1000,
  restarts: 1,
  failBack: false,
  onIsolation: 'stop',
  line: 1,
};

export class FakeNode {
  readonly clock = new FakeClock();
  readonly did: string[] = [];
  /** Events. */
  readonly told: string[] = [];
  readonly failing = new Set<string>();
  readonly shared = new Set<string>();
  holder: string | null = null;
  /** Who holds the second volume. */
  other: string | null = null;
  /** Notes that other nodes write just before this node has attached the volume. */
  meanwhile: string | null = null;
  /** Another node takes the first volume just before the next note. */
  isTakenAtNote = false;
  isSure = true;
  note: string | null = printNote(startedNote('pg', null, 'first'));
  attached: string[] = [];
  awaited: string[] = [];
  silentMs: Record<string, number> = {};
  isUp = false;
  service: MachineState['service'] = 'stopped';
  unwell: string | null = null;
  isDrained = false;
  /** Lines of the log. */
  readonly lines: string[] = [];
  /** Errors of the machine and of rsiod at each look. */
  machineError: RsError | null = null;
  sightError: RsError | null = null;
  /** A restart ends when this promise resolves. */
  restarting: Promise<void> = Promise.resolve();
  /** How long a stop takes. */
  downMs = 0;
  readonly runner: AppRunner;

  constructor() {
    const note = (line: string): void => void this.lines.push(line);
    const log = { info: note, warn: note, error: note };
    const tell = ({ from, to, reason }: Change): void => void this.told.push(`${from} > ${to}: ${reason}`);
    const ports = { clock: this.clock, log, sight: this.sight(), isDrained: () => this.isDrained, tell };
    this.runner = new AppRunner(APP, this.machine(), ports);
  }

  do(step: string): void {
    this.did.push(step);
    if (this.failing.has(step)) throw new RsError('E_SYSTEM', `${step} failed`);
  }

  /** Another node starts the application: it has the volume, then writes its note, and writes it again when the service is well. */
  startedAt(node: string, runs = true): void {
    this.holder = node;
    this.note = printNote(changed(parseNote(this.note, 'pg')!, { preferred: null, runs }));
  }

  async look(afterMs = 1000, isAnswered = true): Promise<string[]> {
    this.clock.advance(afterMs);
    this.did.length = 0;
    await this.runner.look(isAnswered ? this.volumes() : null);
    return [...this.did];
  }

  volumes(): Volumes {
    return {
      attached: this.attached.map((name) => ({ label: `osl:${name}@0`, device: `/dev/${name}`, isExclusive: !this.shared.has(name) })),
      awaited: this.awaited.map((name) => ({ label: `osl:${name}@0` })),
    };
  }

  sight(): Sight {
    return {
      volumes: () => Promise.resolve(this.volumes()),
      facts: (volume) => {
        if (this.sightError !== null) return Promise.reject(this.sightError);
        const [holder, note] = volume === 'db' ? [this.holder, this.note] : [this.other, null];
        return Promise.resolve({ id: `id-${volume}`, node: 'a', isSure: this.isSure, holder, note, why: null });
      },
      silentMs: () => Promise.resolve(this.silentMs),
      writeNote: async (_volume, note) => {
        if (this.isTakenAtNote) {
          Object.assign(this, { attached: ['wal'], holder: 'b', silentMs: { b: 0 } });
          this.failing.add('note');
        }
        this.do('note');
        this.note = await Promise.resolve(note);
      },
      attach: async (volume, take) => {
        this.do(`${take ? 'take' : 'attach'} ${volume}`);
        if (volume === 'db') this.holder = 'a';
        else this.other = 'a';
        if (this.meanwhile !== null) [this.note, this.meanwhile] = [this.meanwhile, null];
        this.attached = await Promise.resolve([...new Set([...this.attached, volume])]);
      },
      detach: async (volume) => {
        this.do(`detach ${volume}`);
        if (volume === 'db') this.holder = null;
        else this.other = null;
        this.attached = await Promise.resolve(this.attached.filter((one) => one !== volume));
      },
    };
  }

  machine(): Machine {
    return {
      known: { read: () => null, keep: () => Promise.resolve() },
      state: () => {
        if (this.machineError !== null) return Promise.reject(this.machineError);
        return Promise.resolve({ mounted: this.isUp ? 1 : 0, hasAddress: false, service: this.service });
      },
      check: () => Promise.resolve(this.unwell),
      up: async (deviceOf) => {
        this.do(`up ${deviceOf('db') ?? ''}`);
        [this.isUp, this.service] = await Promise.resolve([true, 'running'] as const);
        return [];
      },
      restart: async () => {
        this.do('restart');
        await this.restarting;
        this.service = await Promise.resolve('running' as const);
      },
      down: async (manner) => {
        this.clock.advance(this.downMs);
        this.do(`down ${manner}`);
        [this.isUp, this.service] = await Promise.resolve([false, 'stopped'] as const);
      },
    };
  }
}
