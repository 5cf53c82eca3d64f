// Data processes of a fake machine: each started process answers attach and detach as a real one does, until a test ends the process or
// changes its answers. Invariant: a process that has exited sends nothing.

import type { AttachOutcome } from '@rsio/api/rsiod/methods';
import { quietLog } from '@rsio/base/log/log';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import type { AttachedContent, KeptVolume } from '../attachments/attached-file.ts';
import { failure } from '../attachments/choices.ts';
import { DataProcesses } from '../processes/data-processes.ts';
import type { ChildEvents } from '@rsio/base/lib/watched-child';
import { type Begin, OWN_METHODS, type ToProcess } from '../processes/messages.ts';

export function kept(name: string): KeptVolume {
  return { namespace: 'osl', name, universe: 0, id: `id-${name}`, readonly: false, serverid: 1, server: 'big-9' };
}

export class FakeProcess {
  readonly received: ToProcess[] = [];
  readonly number: number;
  readonly pid: number;
  readonly events: ChildEvents;
  /** If false, the process answers no call. */
  answers = true;
  /** Answers of other methods by name. */
  readonly results: Record<string, object> = {};
  /** Labels of volumes whose server this process has not reached yet. */
  readonly unreached = new Set<string>();
  /** Labels of volumes that another data process has not released yet. */
  readonly busy = new Set<string>();
  isGone = false;
  /** If true, the process waits in the kernel, and a kill has no effect yet. */
  isUnkillable = false;
  private attached: readonly KeptVolume[] = [];
  private saves = 0;

  constructor(number: number, pid: number, events: ChildEvents) {
    this.number = number;
    this.pid = pid;
    this.events = events;
  }

  get names(): string[] {
    return this.attached.map(({ name }) => name);
  }

  receive(message: ToProcess): void {
    this.received.push(message);
    if (message.type === 'begin') {
      this.attached = message.attached.attached;
      this.say({ type: 'ready' });
    }
    if (message.type === 'alive?' && this.answers) this.say({ type: 'alive' });
    if (message.type === 'call' && this.answers) this.answer(message.number, this.execute(message.method, message.params));
  }

  say(message: object): void {
    if (!this.isGone) this.events.message(message);
  }

  exit(how: string): void {
    if (this.isGone) return;
    this.isGone = true;
    this.events.exited(how);
  }

  answer(number: number, result: object): void {
    this.say({ type: 'answer', number, result, error: null });
  }

  private execute(method: string, params: object): object {
    if (method === OWN_METHODS.end || method === OWN_METHODS.handOver) {
      queueMicrotask(() => this.exit('exit code 0'));
      return {};
    }
    const { names } = params as { names?: readonly string[] };
    if (names === undefined) return this.results[method] ?? {};
    const plain = names
      .filter((label) => !this.unreached.has(label) && !this.busy.has(label))
      .map((label) => label.replace(/^osl:|@0$/g, ''));
    const others = this.attached.filter(({ name }) => !plain.includes(name));
    this.attached = method === OWN_METHODS.attach ? [...others, ...plain.map(kept)] : others;
    this.report();
    const outcome = (volume: string): AttachOutcome =>
      this.unreached.has(volume)
        ? failure(volume, new RsError('E_UNKNOWN_VOLUME', 'No server in reach'))
        : this.busy.has(volume)
          ? failure(volume, new RsError('E_BUSY', 'It is open in data process 2'))
          : { volume, done: true, already: false, device: null, error: null };
    return { outcomes: names.map(outcome) };
  }

  private report(): void {
    const content: AttachedContent = { boot: 'boot-1', attached: this.attached, detached: [] };
    this.say({ type: 'attached', number: ++this.saves, content });
  }
}

export class ProcessScene {
  readonly clock = new FakeClock();
  readonly processes: DataProcesses;
  /** All processes that were ever started, in order. */
  readonly started: FakeProcess[] = [];
  readonly events: string[] = [];
  readonly lines: string[] = [];
  /** Content of the file; null if the file does not exist. */
  file: AttachedContent | null;
  /** Labels that no server offers to the main process. */
  readonly unoffered = new Set<string>();
  /** The path of the device of each volume, by its label. */
  readonly paths: Record<string, string> = {};
  /** Other labels of the volumes, by their labels. */
  readonly twins: Record<string, string[]> = {};
  reached = 0;
  /** Errors with which the next starts fail, in order. */
  readonly startErrors: Error[] = [];

  constructor(count: number, file: AttachedContent | null = null) {
    this.file = file;
    const say = (line: string): void => void this.lines.push(line);
    this.processes = new DataProcesses({
      clock: this.clock,
      log: { ...quietLog, info: say, warn: say, error: say },
      count,
      boot: 'boot-1',
      store: (current) => ({
        load: () => Promise.resolve(this.file),
        save: () => {
          this.file = current();
          return Promise.resolve();
        },
      }),
      devices: null,
      spawn: (number, _places, events) => {
        const error = this.startErrors.shift();
        if (error !== undefined) throw error;
        const one = new FakeProcess(number, 1_000 + this.started.length, events);
        this.started.push(one);
        return {
          pid: one.pid,
          send: (message) => one.receive(message),
          kill: () => void (one.isUnkillable || one.exit('signal SIGKILL')),
          sendConnection: () => undefined,
        };
      },
      begin: (number, attached) => ({ type: 'begin', attached, processes: count, identity: { dataProcess: number } }) as unknown as Begin,
      isOffered: (label) => !this.unoffered.has(label),
      twinsOf: (label) => this.twins[label] ?? [],
      guarded: (labels, _server, attach) => attach(labels),
      pathsOf: (label) => (this.paths[label] === undefined ? [] : [this.paths[label]]),
      reached: () => this.reached++,
      event: ({ object, to }) => this.events.push(`${object}: ${to}`),
      warning: say,
    });
  }

  async start(): Promise<this> {
    await this.processes.load(() => undefined);
    await this.processes.start();
    return this;
  }

  /** The process that is running under this number. */
  running(number: number): FakeProcess | undefined {
    return this.started.findLast((one) => one.number === number && !one.isGone);
  }

  get placed(): Record<string, string[]> {
    return Object.fromEntries(this.processes.all.map(({ number }) => [number, this.running(number)?.names ?? []]));
  }
}
