// A data process's end of the channel to the main process. Invariant: a data process never outlives the main process. Without the channel,
// it exits at once and leaves its devices to the keeper, because the next main process starts new data processes.

import type { Socket } from 'node:net';
import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { AttachedContent, AttachedStore } from '../attachments/attached-file.ts';
import { labelOf } from '../attachments/offers.ts';
import type { NbdExport } from '../frontends/nbd/wire/nbd-export.ts';
import { readDeviceNote } from '../keeper/device-note.ts';
import type { Kept } from '../keeper/keeper-link.ts';
import { PROCESS_TEXT_MAX_CHARS } from './limits.ts';
import type { Begin, Call, FromProcess, ToProcess } from './messages.ts';

type OwnMethods = Readonly<Record<string, ((params: never) => Promise<object> | object) | undefined>>;

/** The part of the daemon that the channel drives. */
export interface ChannelUser {
  readonly handlers: ControlHandlers;
  readonly ownMethods: OwnMethods;
  configure(message: Extract<ToProcess, { type: 'config' }>): void;
  /** Takes over an NBD connection; `socket` is undefined if it was lost on the way. */
  adopt(socket: Socket | undefined, passed: unknown, ended: () => void): void;
  logTo(message: Extract<ToProcess, { type: 'log' }>): void;
}

export class MainChannel {
  private readonly send: (message: FromProcess) => void;
  private readonly begin: Begin;
  private readonly keeping = new Map<number, (answer: Extract<ToProcess, { type: 'kept' }>) => void>();
  private lastKeep = 0;
  private readonly saves = new Map<number, () => void>();
  private lastSave = 0;
  private isReporting = false;
  /** Made once, because `has` is called for each raw device of the machine, and this process may have a thousand of them. */
  private labels: ReadonlySet<string> | null = null;

  constructor(begin: Begin, send: (message: FromProcess) => void) {
    this.begin = begin;
    this.send = send;
  }

  ready(): void {
    this.send({ type: 'ready' });
  }

  reached(): void {
    this.send({ type: 'reached' });
  }

  warn(sentence: string): void {
    this.send({ type: 'warning', sentence: cut(sentence) });
  }

  event(object: string, from: string, to: string, reason: string): void {
    this.send({ type: 'event', object, from, to, reason });
  }

  /** True if this process was started with the volume with this label, or with a device of this volume. */
  has(label: string): boolean {
    this.labels ??= this.ownLabels();
    return this.labels.has(label);
  }

  /** The devices of the previous process; null if there is no keeper. */
  get kept(): readonly Kept[] | null {
    return this.begin.kept;
  }

  /** Lets the keeper hold a device, as KeeperLink does. Throws E_SYSTEM. */
  async keep(fd: number, note: string): Promise<number> {
    const { id, reason } = await this.askKeeper((number) => ({ type: 'keep', number, fd, note }));
    if (id === null) throw new RsError('E_SYSTEM', reason);
    return id;
  }

  note(id: number, note: string): void {
    this.send({ type: 'note', id, note });
  }

  async drop(id: number): Promise<void> {
    await this.askKeeper((number) => ({ type: 'drop', number, id }));
  }

  private ownLabels(): Set<string> {
    const notes = (this.begin.kept ?? []).flatMap(({ note }) => readDeviceNote(note) ?? []);
    return new Set([...this.begin.attached.attached, ...notes].map(labelOf));
  }

  private askKeeper(message: (number: number) => FromProcess): Promise<Extract<ToProcess, { type: 'kept' }>> {
    return new Promise((resolve) => {
      const number = ++this.lastKeep;
      this.keeping.set(number, resolve);
      this.send(message(number));
    });
  }

  /** The list of attached volumes, which the main process saves together with those of the other processes. */
  store(current: () => AttachedContent): AttachedStore {
    return {
      load: () => Promise.resolve(this.begin.attached),
      save: () =>
        new Promise((resolve) => {
          const number = ++this.lastSave;
          this.saves.set(number, resolve);
          this.send({ type: 'attached', number, content: { ...current() } });
        }),
    };
  }

  /** Schedules a report of the exports of this process. One report covers all changes of an event-loop turn. */
  exportsChanged(exports: () => readonly NbdExport[]): void {
    if (this.isReporting) return;
    this.isReporting = true;
    setImmediate(() => {
      this.isReporting = false;
      this.send({ type: 'exports', exports: exports() });
    });
  }

  receive(message: ToProcess, socket: Socket | undefined, user: ChannelUser): void {
    switch (message.type) {
      case 'alive?':
        this.send({ type: 'alive' });
        return;
      case 'kept':
        this.keeping.get(message.number)?.(message);
        this.keeping.delete(message.number);
        return;
      case 'saved':
        this.saves.get(message.number)?.();
        this.saves.delete(message.number);
        return;
      case 'nbd':
        user.adopt(socket, message.passed, () => this.send({ type: 'nbd-ended', number: message.passed.number }));
        return;
      case 'config':
        user.configure(message);
        return;
      case 'log':
        user.logTo(message);
        return;
      case 'call':
        void this.call(message, user);
        return;
      case 'begin':
    }
  }

  private async call({ number, method, params }: Call, { handlers, ownMethods }: ChannelUser): Promise<void> {
    const table = { ...(handlers as unknown as OwnMethods), ...ownMethods };
    try {
      const handler = Object.hasOwn(table, method) ? table[method] : undefined;
      if (handler === undefined) throw new RsError('E_INTERNAL', `A data process has no method ${method}`);
      const result = await handler(params as never);
      this.send({ type: 'answer', number, result: { ...result }, error: null });
    } catch (thrown) {
      const { code, message } = toRsError(thrown);
      this.send({ type: 'answer', number, result: null, error: { code, message: cut(message) } });
    }
  }
}

/** A text may name thousands of volumes or users, but the main process would end a process that sends a longer text. */
function cut(text: string): string {
  return text.length <= PROCESS_TEXT_MAX_CHARS ? text : `${text.slice(0, PROCESS_TEXT_MAX_CHARS - 4)} ...`;
}
