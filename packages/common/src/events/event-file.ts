// Keeps the events of a daemon across restarts, in `events.jsonl` and, for older events, `events.jsonl.1`. Events are appended in batches,
// with one write at a time, and no caller waits for a write. When `events.jsonl` is full, `events.jsonl.1` gets the list of events as it is
// then, so that the files keep the events of objects that seldom change. Invariants: both files are bounded in lines and bytes. A damaged or torn line
// loses only that line. If the disk is full or fails, events may be lost; the daemon reports the error once and continues. No event number
// is used twice.

import { appendFileSync, chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { appendFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EVENT, type EventView } from '../control/method-table.ts';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { errnoName } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { misfit } from '@rsio/base/lib/shape';
import type { EventStore } from './event-history.ts';
import { storedBefore } from './event-repeats.ts';
import {
  EVENT_FILE_LINES_MAX,
  EVENT_FILE_MAX_BYTES,
  EVENT_NUMBERS_SKIPPED,
  EVENTS_RETRY_MS,
  EVENTS_SAVE_MS,
  EVENTS_UNSAVED_MAX,
} from './limits.ts';

/** The file has names of volumes and clients, so only the daemon's user may read it. */
const FILE_MODE = 0o600;

// {"beganMs":1284476552000}                                         first line of each file
// {"number":7,"atMs":...,"object":"volume db@0","from":"-","to":"created","reason":""}
// {"closed":7}                                                      clean end: no event after it was lost

const ORDER = EVENT.form.fields.order;

interface Kept {
  readonly events: EventView[];
  beganMs: number | null;
  /** Number of the last event before a clean end; null if the end was unclean. */
  closed: number | null;
}

export class EventFile implements EventStore {
  private readonly file: string;
  private readonly clock: Clock;
  private readonly log: Pick<Log, 'warn' | 'info'>;
  private list: () => readonly EventView[] = () => [];
  private readonly unsaved: string[] = [];
  private beganMs = 0;
  private last = 0;
  private lines = 0;
  private lost = 0;
  private timer: Timer | null = null;
  private isSaving = false;
  /** True if the file may end in the middle of a line. */
  private isTorn = false;
  private isFailing = false;
  private isClosed = false;

  constructor(file: string, clock: Clock, log: Pick<Log, 'warn' | 'info'>) {
    this.file = file;
    this.clock = clock;
    this.log = log;
  }

  /** Reads both files. Skips lines that cannot be parsed. */
  load(list: () => readonly EventView[]): ReturnType<EventStore['load']> {
    this.list = list;
    const kept: Kept = { events: [], beganMs: null, closed: null };
    for (const file of [`${this.file}.1`, this.file]) this.read(file, kept);
    const last = kept.events.at(-1)?.number ?? 0;
    const isClean = kept.closed !== null && kept.closed >= last;
    this.last = isClean || last === 0 ? Math.max(last, kept.closed ?? 0) : last + EVENT_NUMBERS_SKIPPED;
    this.beganMs = kept.beganMs ?? this.clock.wallMs();
    return { events: kept.events, next: this.last + 1, beganMs: this.beganMs };
  }

  add(event: EventView): void {
    this.last = event.number;
    if (this.isClosed) return;
    if (this.unsaved.length >= EVENTS_UNSAVED_MAX) {
      this.unsaved.shift();
      this.lost++;
    }
    this.unsaved.push(`${JSON.stringify(event)}\n`);
    if (!this.isSaving) this.timer ??= this.clock.after(EVENTS_SAVE_MS, () => this.saveLater());
  }

  /** Saves the remaining events, and marks the end as clean. Called when the process exits. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.timer?.cancel();
    // A batch that is being written may still fail, so the end is not marked as clean.
    if (this.isSaving || this.isFailing) return;
    try {
      const text = `${this.heading()}${this.unsaved.join('')}${JSON.stringify({ closed: this.last })}\n`;
      mkdirSync(dirname(this.file), { recursive: true });
      appendFileSync(this.file, text, { mode: FILE_MODE });
    } catch {
      // Ignore the error: the next start treats this end as unclean.
    }
  }

  private saveLater(): void {
    this.timer = null;
    void this.save();
  }

  private async save(): Promise<void> {
    this.isSaving = true;
    const batch = this.unsaved.splice(0);
    try {
      if (this.lines >= EVENT_FILE_LINES_MAX || (await this.sizeBytes()) >= EVENT_FILE_MAX_BYTES) await this.turn();
      await appendFile(this.file, `${this.heading()}${batch.join('')}`, { mode: FILE_MODE });
      this.lines += batch.length;
      this.isTorn = false;
      this.saved();
    } catch (error) {
      this.isTorn = true;
      this.unsaved.unshift(...batch);
      const tooMany = Math.max(0, this.unsaved.length - EVENTS_UNSAVED_MAX);
      this.unsaved.splice(0, tooMany);
      this.lost += tooMany;
      this.failed(error as Error);
    }
    this.isSaving = false;
    if (this.unsaved.length > 0 && !this.isClosed)
      this.timer ??= this.clock.after(this.isFailing ? EVENTS_RETRY_MS : EVENTS_SAVE_MS, () => this.saveLater());
  }

  private async sizeBytes(): Promise<number> {
    try {
      return (await stat(this.file)).size;
    } catch (error) {
      if (errnoName(error) !== 'ENOENT') throw error;
      this.lines = 0;
      mkdirSync(dirname(this.file), { recursive: true });
      return 0;
    }
  }

  private async turn(): Promise<void> {
    const next = `${this.file}.new`;
    await writeFile(next, `${JSON.stringify({ beganMs: this.beganMs })}\n${newestLines(this.list())}`, { mode: FILE_MODE, flush: true });
    await rename(next, `${this.file}.1`);
    await rm(this.file, { force: true });
    this.lines = 0;
    this.isTorn = false;
  }

  /** Returns the text that must be written before the next lines: a line end after a torn line, or the first line of a new file. */
  private heading(): string {
    return `${this.isTorn ? '\n' : ''}${this.lines === 0 ? `${JSON.stringify({ beganMs: this.beganMs })}\n` : ''}`;
  }

  private saved(): void {
    const { lost } = this;
    this.lost = 0;
    if (this.isFailing)
      this.log.info(`Events are saved again${lost === 0 ? '' : `; ${lost} were not, and will be missing after a restart`}`);
    this.isFailing = false;
  }

  private failed({ message }: Error): void {
    if (!this.isFailing)
      this.log.warn(
        `Events cannot be saved in ${this.file} (${message}): they will be missing after a restart; make room or correct its rights`,
      );
    this.isFailing = true;
  }

  private read(file: string, kept: Kept): void {
    let text: string;
    try {
      // Check the size first, because a file that the daemon has not written may have any size.
      const { size, mode } = statSync(file);
      // Earlier releases made the file readable by a group.
      if ((mode & 0o777) !== FILE_MODE) chmodSync(file, FILE_MODE);
      if (size > 2 * EVENT_FILE_MAX_BYTES) return;
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if (errnoName(error) !== 'ENOENT') this.failed(error as Error);
      return;
    }
    const lines = text.split('\n');
    this.isTorn = lines.pop() !== '';
    this.lines = lines.length;
    for (const line of lines) take(line, kept);
  }
}

/** Adds the content of a line. Ignores foreign lines and repeated events. */
function take(line: string, kept: Kept): void {
  let value: Record<string, unknown>;
  try {
    value = Object(JSON.parse(line)) as Record<string, unknown>;
  } catch {
    return;
  }
  const { beganMs, closed } = value;
  if (isCount(beganMs)) kept.beganMs ??= beganMs;
  if (isCount(closed)) kept.closed = closed;
  if (!isEvent(value) || value.number <= (kept.events.at(-1)?.number ?? 0)) return;
  const { number, atMs, object, from, to, reason, repeated, order } = value;
  const event = {
    number,
    atMs,
    object,
    from,
    to,
    reason,
    ...(isCount(repeated) ? { repeated } : {}),
    ...(order !== undefined && misfit(ORDER, order) === null ? { order } : {}),
  };
  const before = storedBefore(kept.events, event);
  if (before !== undefined) kept.events.splice(kept.events.indexOf(before), 1);
  kept.events.push(event);
  kept.closed = null;
}

/** Returns the lines of as many of the newest events as the file may have bytes. */
function newestLines(events: readonly EventView[]): string {
  const lines: string[] = [];
  let bytes = 0;
  for (const event of events.toReversed()) {
    const line = `${JSON.stringify(event)}\n`;
    bytes += Buffer.byteLength(line);
    if (bytes > EVENT_FILE_MAX_BYTES) break;
    lines.unshift(line);
  }
  return lines.join('');
}

function isEvent(value: object): value is EventView {
  const { number, atMs, object, from, to, reason } = value as Record<string, unknown>;
  return isCount(number) && number > 0 && isCount(atMs) && [object, from, to, reason].every((text) => typeof text === 'string');
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
