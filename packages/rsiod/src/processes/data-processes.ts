// Manages all data processes of rsiod: how many there are, which of them has which volume, the file with their lists of attached volumes,
// and requests to one or all of them. Invariants: a label is attached, or being attached, in at most one process; the file has the volumes
// of all processes before an attach or detach is answered.

import { sleep } from '@rsio/base/lib/waiting';
import type { Socket } from 'node:net';
import type { AttachOutcome, PathStats, ProcessView } from '@rsio/api/rsiod/methods';
import type { AttachedMirrorView } from '@rsio/api/views/mirror-views';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { LogWay } from '@rsio/base/log/log-form';
import { accepts } from '@rsio/base/lib/shape';
import { joinedPaths, pastPath } from '../control/joined-stats.ts';
import { FIGURES, NO_FIGURES, joinedFigures, pastFigures, type ProcessFigures } from '../control/process-figures.ts';
import { toRsError } from '@rsio/base/lib/errors';
import { isSameBoot } from '@rsio/protocol/client-identity';
import type { AttachedContent, AttachedStore, KeptVolume } from '../attachments/attached-file.ts';
import type { AttachLabels } from '../attachments/volume-origins.ts';
import { failure } from '../attachments/choices.ts';
import { labelOf } from '../attachments/offers.ts';
import type { Owner } from '../attachments/owners.ts';
import type { NbdElsewhere } from '../frontends/nbd/nbd-frontend.ts';
import type { PassedConnection } from '../frontends/nbd/passed-connection.ts';
import { exportKey, type NbdExport } from '../frontends/nbd/wire/nbd-export.ts';
import { writeDeviceNote } from '../keeper/device-note.ts';
import type { LeftDevice } from '../keeper/kept-devices.ts';
import { DataProcess, type DataProcessPorts } from './data-process.ts';
import { PROCESS_ANSWER_MS, PROCESS_REACH_LOOK_MS, PROCESS_REACH_MS, PROCESS_REFUSAL_MS, PROCESS_START_MS } from './limits.ts';
import { OWN_METHODS, type Ending } from './messages.ts';
import { leastLoaded, shares } from './placement.ts';

// Remembers the counters that data processes last reported, so that sums over all processes do not fall when a process ends or does not
// answer. Invariant: the counters of each life of a process are counted once, as they were last reported. Anything that a process counted
// after its last report is lost.
/** What one process has reported. */
interface Report<T> {
  readonly number: number;
  /** Number of restarts of the process before this answer. */
  readonly life: number;
  /** Null if the process has not answered. */
  readonly counters: T | null;
}

class PastCounters<T> {
  private readonly last = new Map<number, { readonly life: number; readonly counters: T }>();
  private past: T;
  private readonly join: (one: T, other: T) => T;

  constructor(none: T, join: (one: T, other: T) => T) {
    this.past = none;
    this.join = join;
  }

  /**
   * Takes the reports of all processes. Returns the counters to add to them: those of earlier lives, and those of processes that have not
   * answered.
   */
  take(reports: readonly Report<T>[]): T {
    let silent: T | null = null;
    for (const { number, life, counters } of reports) {
      const before = this.last.get(number);
      if (counters !== null) {
        if (before !== undefined && before.life < life) this.past = this.join(this.past, before.counters);
        if (before === undefined || before.life <= life) this.last.set(number, { life, counters });
      } else if (before !== undefined) silent = silent === null ? before.counters : this.join(silent, before.counters);
    }
    return silent === null ? this.past : this.join(this.past, silent);
  }
}

const isFigures = accepts(FIGURES);

export interface DataProcessesPorts extends Omit<DataProcessPorts, 'saveLists'> {
  readonly count: number;
  readonly boot: string;
  readonly store: (current: () => AttachedContent) => AttachedStore;
  /** True if a server offers the volume with this label to the main process. */
  isOffered(label: string): boolean;
  /** Other labels of the volume with this label. One process has them all, because it decides who may have the volume together. */
  twinsOf(label: string): readonly string[];
  /** Attaches the volumes that may be attached (attachments/volume-origins.ts). */
  readonly guarded: (labels: readonly string[], server: string | null, attach: AttachLabels) => Promise<AttachOutcome[]>;
  /** The paths that the devices of the volume with this label would have; empty if it gets no devices. */
  pathsOf(label: string): readonly string[];
}

/** `number`: position of the volume in the order of requests. `paths`: the paths that its devices got at that time. */
interface Turn {
  readonly number: number;
  readonly paths: readonly string[];
}

interface Placed extends KeptVolume {
  readonly process: DataProcess;
}

/** `answer`: the answer of a process; null if it did not answer. `life`: number of restarts of the process before this answer. */
export interface Asked {
  readonly process: DataProcess;
  readonly life: number;
  readonly answer: Readonly<Record<string, unknown>> | null;
}

/** A volume, and the process that is asked to attach or detach it. */
interface Order {
  readonly label: string;
  readonly process: DataProcess;
}

export interface AttachOrder {
  readonly readOnly: boolean;
  readonly server: string | null;
  readonly take: 'no' | 'over' | 'force';
  /** `any`: the administrator has not named the volumes, so that a volume that is attached already may keep its mode. */
  readonly by: 'name' | 'any';
  readonly owner: Owner;
}

export class DataProcesses implements NbdElsewhere {
  private readonly ports: DataProcessesPorts;
  private readonly file: AttachedStore;
  private list: readonly DataProcess[] = [];
  /** The attached mirrors, as the processes last reported them. */
  mirrors: readonly AttachedMirrorView[] = [];
  private readonly pastFigures = new PastCounters<ProcessFigures>(NO_FIGURES, (one, other) => ({
    ...joinedFigures([one, other]),
    paths: joinedPaths([one.paths, other.paths]),
  }));
  private readonly pastStats = new PastCounters<PathStats[]>([], (one, other) => joinedPaths([one, other]));
  /** Maps the label of each volume to the queue of its changes. Only volumes that are attached, or being attached, have an entry. */
  private readonly turns = new Map<string, Turn>();
  private lastTurn = 0;
  /** The lists from which `byLabel` was built. */
  private seen: readonly AttachedContent[] = [];
  private byLabel: ReadonlyMap<string, Placed> = new Map();
  /** Maps the label of each volume that is being attached to its process, and to the number of attempts in progress. */
  private readonly coming = new Map<string, { readonly process: DataProcess; attempts: number }>();

  constructor(ports: DataProcessesPorts) {
    this.ports = ports;
    this.file = ports.store(() => this.content());
  }

  get all(): readonly DataProcess[] {
    return this.list;
  }

  /** Volumes that are attached in a data process, or wait there to be reattached, in the order in which they were requested. */
  get volumes(): readonly Placed[] {
    return [...this.placed().values()];
  }

  /** Sorts volumes by the order in which they were requested. */
  inTurn<T extends Pick<KeptVolume, 'namespace' | 'name' | 'universe'>>(volumes: readonly T[]): T[] {
    const turn = (volume: T): number => this.turns.get(labelOf(volume))?.number ?? Number.MAX_SAFE_INTEGER;
    return volumes.toSorted((one, other) => turn(one) - turn(other));
  }

  /** The volumes that the processes export over NBD, in the order in which they were requested. */
  exports(): NbdExport[] {
    return this.inTurn(this.list.flatMap(({ exports }) => exports));
  }

  pass(passed: PassedConnection, socket: Socket, ended: () => void): void {
    const process = this.list.find(({ exports }) => exports.some((one) => exportKey(one) === exportKey(passed)));
    if (process === undefined) ended();
    else process.pass(passed, socket, ended);
  }

  labelsIn(namespace: string): string[] {
    return [...this.placed().values()].filter((volume) => volume.namespace === namespace).map(labelOf);
  }

  /** Labels and ids of volumes that the administrator has detached, or that another client has taken. */
  get detached(): ReadonlySet<string> {
    const attached = new Set(this.volumes.map((volume) => `${labelOf(volume)} ${volume.id}`));
    // A process may still list a volume as detached although another process has attached it since.
    return new Set(this.list.flatMap(({ content }) => content.detached).filter((key) => !attached.has(key)));
  }

  /** Reads which volumes were attached when rsiod ended, and assigns them to the processes. Call this once, before `start`. */
  async load(warn: (sentence: string) => void): Promise<void> {
    const { boot, count, log } = this.ports;
    const saved = await this.file.load(warn);
    const isOwn = saved !== null && isSameBoot(saved.boot, boot);
    const { attached, detached } = isOwn ? saved : { attached: [], detached: [] };
    const dropped = isOwn || saved === null ? '' : saved.attached.map(labelOf).join(', ');
    if (dropped !== '') log.info(`Attached before the machine was booted, and not attached again for that: ${dropped}`);
    for (const volume of attached) this.giveTurn(labelOf(volume));
    const pathsOf = (volume: KeptVolume): readonly string[] => this.turns.get(labelOf(volume))?.paths ?? [];
    this.list = shares(attached, count, pathsOf).map((volumes, at) => {
      const content = { boot, attached: volumes, detached: at === 0 ? detached : [] };
      return new DataProcess(at + 1, content, { ...this.ports, saveLists: () => this.file.save() });
    });
  }

  /** Starts the processes. Resolves when all processes are ready, or after PROCESS_START_MS. */
  async start(): Promise<void> {
    const { clock, log } = this.ports;
    for (const process of this.list) process.start();
    await new Promise<void>((resolve) => {
      const timer = clock.after(PROCESS_START_MS, () => {
        log.warn(`Not every data process was ready within ${PROCESS_START_MS / 1_000} s: their volumes are attached later`);
        resolve();
      });
      void Promise.all(this.list.map((process) => process.ready())).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /**
   * Gives a device that the keeper holds to the process that will attach its volume. Returns false if no process will attach the volume.
   */
  give({ id, note }: LeftDevice): boolean {
    const volume = this.placed().get(labelOf(note));
    if (volume?.id !== note.id) return false;
    this.ports.devices?.give(volume.process.number, { id, note: writeDeviceNote(note) });
    return true;
  }

  /** True if a process has the volume, or is attaching it. */
  has(label: string): boolean {
    return this.processOf(label) !== null;
  }

  processOf(label: string): DataProcess | null {
    return this.coming.get(label)?.process ?? this.placed().get(label)?.process ?? null;
  }

  /**
   * Attaches volumes, each in its process. `labels`: complete labels, or names that no server offers; for such a name, a process returns
   * the error.
   */
  attach(labels: readonly string[], order: AttachOrder): Promise<AttachOutcome[]> {
    return this.ports.guarded(labels, order.server, (some) => this.attachNow(some, order));
  }

  private async attachNow(labels: readonly string[], order: AttachOrder): Promise<AttachOutcome[]> {
    const placed = labels.map((label) => ({ label, process: this.place(label) }));
    const call = (asked: readonly Order[]): Promise<AttachOutcome[]> =>
      this.outcomes(asked, (process, names) => process.call(OWN_METHODS.attach, { ...order, names }));
    const { clock } = this.ports;
    const endMs = clock.monotonicMs() + PROCESS_REACH_MS;
    try {
      const outcomes = await call(placed);
      for (;;) {
        const early = placed.flatMap(({ label }, at) => (this.isEarly(label, outcomes[at]!) ? [at] : []));
        if (early.length === 0 || clock.monotonicMs() >= endMs) return outcomes;
        await sleep(clock, PROCESS_REACH_LOOK_MS);
        const again = await call(early.map((at) => placed[at]!));
        for (const [index, at] of early.entries()) outcomes[at] = again[index]!;
      }
    } finally {
      for (const label of labels) this.settle(label);
    }
  }

  /** Ends an order in the process that has its volume; an order of a process that has ended is over. */
  async endOrder(label: string, ticket: string, isGone: boolean): Promise<void> {
    await this.processOf(label)?.call(OWN_METHODS.endOrder, { ticket, isGone });
  }

  /**
   * Detaches volumes. A volume that no process has may still be held by this client; a process then ends the hold. `owner`: as for
   * `Attachments.detach`.
   */
  async detach(labels: readonly string[], force: boolean, owner: string | null): Promise<AttachOutcome[]> {
    const placed = labels.map((label) => ({ label, process: this.place(label) }));
    try {
      return await this.outcomes(placed, (process, names) => process.call('detach', { names, force, owner }));
    } finally {
      for (const label of labels) this.settle(label);
    }
  }

  /** Calls a method in all processes. A process that does not answer within PROCESS_ANSWER_MS, or answers with an error, is left out. */
  async callAll(method: string, params: object): Promise<Readonly<Record<string, unknown>>[]> {
    return (await this.askAll(method, params)).flatMap(({ answer }) => (answer === null ? [] : [answer]));
  }

  /** Like `callAll`, but with an entry for each process; `answer` is null if the process has not answered. */
  async askAll(method: string, params: object, waitMs = PROCESS_ANSWER_MS): Promise<Asked[]> {
    const { clock } = this.ports;
    return await Promise.all(
      this.list.map(async (process) => {
        return await new Promise<Asked>((resolve) => {
          const answered = (answer: Asked['answer']): void => resolve({ process, life: process.restarts, answer });
          const timer = clock.after(waitMs, () => answered(null));
          void process
            .call(method, params)
            .catch(() => null)
            .then((result) => {
              timer.cancel();
              answered(result);
            });
        });
      }),
    );
  }

  /** Sends a new configuration or a new log destination to all processes. */
  tell(message: { readonly type: 'config'; readonly config: RscltConfig } | { readonly type: 'log'; readonly way: LogWay }): void {
    for (const process of this.list) process.send(message);
  }

  /** The figures of all processes for the metrics, and the counters of those that have ended. */
  async figures(): Promise<ProcessFigures[]> {
    const reports = (await this.askAll(OWN_METHODS.figures, {})).map(({ process: { number }, life, answer }) => {
      return { number, life, counters: isFigures(answer) ? answer : null };
    });
    const past = this.pastFigures.take(
      reports.map((one) => ({ ...one, counters: one.counters === null ? null : pastFigures(one.counters) })),
    );
    return [...reports.flatMap(({ counters }) => counters ?? []), past];
  }

  /**
   * Returns the path counters of processes that have ended or do not answer. The caller adds them to the counters in `answers`, the answers
   * of all processes about statistics.
   */
  pastPaths(answers: readonly Asked[], pathsOf: (answer: NonNullable<Asked['answer']>) => readonly PathStats[]): PathStats[] {
    return this.pastStats.take(
      answers.map(({ process: { number }, life, answer }) => ({
        number,
        life,
        counters: answer === null ? null : pathsOf(answer).map(pastPath),
      })),
    );
  }

  get views(): ProcessView[] {
    return this.list.map(({ number, pid, content, restarts }) => ({ number, pid, volumes: content.attached.length, restarts }));
  }

  /** Number of restarts of all processes. */
  get restarts(): number {
    return this.list.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /**
   * Resolves with the reason why rsiod must not end now: volumes of a data process are in use, or may be in use in a process that does not
   * answer. Resolves with null if rsiod may end.
   */
  async refusal(ending: Ending): Promise<string | null> {
    const answers = await this.askAll(OWN_METHODS.refusal, { ending }, PROCESS_REFUSAL_MS);
    const reasons = answers.flatMap(({ process, answer }) => {
      if (answer !== null) return typeof answer['reason'] === 'string' ? [answer['reason']] : [];
      const labels = process.content.attached.map(labelOf);
      if (labels.length === 0) return [];
      const remedy = `try again when it has been started again${ending === 'stop' ? ', or use rsconfig stop --force' : ''}`;
      return [`Data process ${process.number} does not answer, and has ${labels.join(', ')}: ${remedy}`];
    });
    return reasons.length === 0 ? null : reasons.join('; ');
  }

  /**
   * Returns why the volumes of the processes do not permit the next configuration. A gate of the main process would be a second one that
   * serves volumes of this client.
   */
  async obstacles(config: RscltConfig): Promise<string[]> {
    const gates = [...config.gates, ...config.aoeGates].map(({ name }) => `gate ${name}`).join(', ');
    if (gates !== '') return [`${gates} cannot begin while data processes have the volumes: restart rsiod, or remove it for now`];
    const answers = await this.askAll(OWN_METHODS.obstacles, { config });
    const found = answers.flatMap(({ process, answer }) => {
      if (answer === null) return [`Data process ${process.number} does not answer: try again when it has been started again`];
      return Array.isArray(answer['obstacles']) ? answer['obstacles'].map(String) : [];
    });
    return [...new Set(found)];
  }

  /** Ends all processes. The lists then no longer change, so that the next rsiod reattaches the volumes. */
  async end(method: typeof OWN_METHODS.end | typeof OWN_METHODS.handOver, reason: string): Promise<void> {
    await Promise.all(this.list.map((process) => process.end(method, reason)));
  }

  /** The volumes of all processes by their labels. Rebuilt only after a process has reported a new list. */
  private placed(): ReadonlyMap<string, Placed> {
    const contents = this.list.map(({ content }) => content);
    if (contents.length === this.seen.length && contents.every((content, at) => content === this.seen[at])) return this.byLabel;
    const all = this.list.flatMap((process) => process.content.attached.map((volume) => ({ ...volume, process })));
    this.byLabel = new Map(this.inTurn(all).map((volume) => [labelOf(volume), volume]));
    for (const label of this.turns.keys()) if (!this.byLabel.has(label) && !this.coming.has(label)) this.turns.delete(label);
    this.seen = contents;
    return this.byLabel;
  }

  private get emptiest(): DataProcess {
    const coming = [...this.coming.entries()];
    const loads = this.list.map((one) => {
      const attached = new Set(one.content.attached.map(labelOf));
      return attached.size + coming.filter(([label, { process }]) => process === one && !attached.has(label)).length;
    });
    return this.list[leastLoaded(loads)]!;
  }

  private giveTurn(label: string): void {
    this.turns.set(label, { number: ++this.lastTurn, paths: this.ports.pathsOf(label) });
  }

  /** Returns the process with another volume whose device has the same path as a device of this volume; null if there is none. */
  private rivalsProcess(label: string): DataProcess | null {
    const paths = this.turns.get(label)?.paths ?? [];
    if (paths.length === 0) return null;
    for (const [other, turn] of this.turns)
      if (other !== label && turn.paths.some((path) => paths.includes(path))) return this.processOf(other);
    return null;
  }

  private place(label: string): DataProcess {
    const process = this.processOf(label);
    if (!this.turns.has(label)) this.giveTurn(label);
    const twin = this.ports.twinsOf(label).find((other) => this.has(other));
    const placed = process ?? (twin === undefined ? this.rivalsProcess(label) : this.processOf(twin)) ?? this.emptiest;
    const known = this.coming.get(label) ?? { process: placed, attempts: 0 };
    known.attempts++;
    this.coming.set(label, known);
    return known.process;
  }

  private settle(label: string): void {
    const known = this.coming.get(label);
    if (known !== undefined && --known.attempts === 0) this.coming.delete(label);
    if (!this.has(label)) this.turns.delete(label);
  }

  /**
   * True if the process of the volume has not yet reached the server that offers the volume to the main process, or if the process that had
   * the volume before has not yet released it.
   */
  private isEarly(label: string, { error }: AttachOutcome): boolean {
    return error?.code === 'E_BUSY' || (error?.code === 'E_UNKNOWN_VOLUME' && this.ports.isOffered(label));
  }

  /** Calls each process once, with its names, and returns the outcomes in the order of `placed`. */
  private async outcomes(
    placed: readonly Order[],
    call: (process: DataProcess, names: readonly string[]) => Promise<Readonly<Record<string, unknown>>>,
  ): Promise<AttachOutcome[]> {
    const byPlace: AttachOutcome[] = [];
    await Promise.all(
      this.list.map(async (process) => {
        const places = placed.flatMap((one, at) => (one.process === process ? [at] : []));
        if (places.length === 0) return;
        const names = places.map((at) => placed[at]!.label);
        const found = await call(process, names).then(
          ({ outcomes }) => outcomes as readonly AttachOutcome[],
          (thrown: unknown) => names.map((name) => failure(name, toRsError(thrown))),
        );
        for (const [index, at] of places.entries())
          byPlace[at] = found[index] ?? failure(placed[at]!.label, toRsError(new Error('No outcome')));
      }),
    );
    return byPlace;
  }

  private content(): AttachedContent {
    const attached = this.inTurn(this.list.flatMap(({ content }) => content.attached));
    return { boot: this.ports.boot, attached, detached: [...this.detached] };
  }
}
