// The working process's end of the link to its keeper. The keeper holds copies of the working process's descriptors. A comment in
// helpers/keeper.pl describes the lines that are sent over the link. Invariants: `begun` resolves only after everything that the previous
// process left behind has been received. If the keeper is gone, this process exits, because another daemon may start. Each question to the
// keeper is answered, or fails, within KEEPER_ANSWER_MS.

import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { KEEPER_ANSWER_MS, KEPT_DEVICES_MAX, KEPT_NOTE_MAX_BYTES } from './limits.ts';

/**
 * Environment variable with numbers: the descriptor of the link, the number of this child, and the version of the keeper's protocol. The
 * keeper sets the variable for its child, and the child removes it.
 */
export const KEEPER_VARIABLE = 'RSIO_KEEPER';

export interface Kept {
  readonly id: number;
  readonly fd: number;
  readonly note: string;
}

export interface Inheritance {
  readonly kept: readonly Kept[];
  readonly life: number;
  /** The way in which the previous process ended, for example `signal 9`. */
  readonly why: string;
}

export interface KeeperLinkPorts {
  readonly clock: Clock;
  /** Called when the keeper is gone and only this process still has the descriptors. */
  readonly lost: () => void;
}

interface Answer {
  readonly verb: string;
  /** The errno if the verb is `no`, or the keeper's numbers of the descriptors if the verb is `at`. */
  readonly values: readonly number[];
}

const ANSWERS: ReadonlySet<string> = new Set(['ok', 'no', 'gone', 'at']);
/** After an update, a restarted rsiod may still have the older keeper, which does not answer questions about other processes. */
const OTHERS_VERSION = 2;

interface Question {
  readonly answer: (answer: Answer | null) => void;
  readonly timer: Timer;
}

export class KeeperLink {
  private readonly ports: KeeperLinkPorts;
  private readonly fd: number;
  /** True if the keeper can hold descriptors of processes that this process has started. */
  readonly holdsForOthers: boolean;
  private readonly socket: Socket;
  private readonly questions = new Map<number, Question>();
  private readonly found: Kept[] = [];
  private readonly held = new Set<number>();
  private received = '';
  private nextId = 1;
  private inheritance: ((inheritance: Inheritance) => void) | null = null;

  /** `fd` is the descriptor whose number is in the environment variable KEEPER_VARIABLE. */
  constructor({ fd, version }: { readonly fd: number; readonly version: number }, ports: KeeperLinkPorts) {
    this.ports = ports;
    this.fd = fd;
    this.holdsForOthers = version >= OTHERS_VERSION;
    this.socket = new Socket({ fd, readable: true, writable: true });
    this.socket.setEncoding('utf8');
    this.socket.on('data', (text: string) => this.receive(text));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => ports.lost());
  }

  /** Resolves with all descriptors and notes that the previous process left behind. Call this once. */
  begun(): Promise<Inheritance> {
    return new Promise((resolve) => (this.inheritance = resolve));
  }

  /** After `ready`, the keeper treats an unannounced exit or a hanging event loop as a crash of this process. */
  ready(): void {
    // The link alone must not prevent this process from exiting.
    this.socket.unref();
    this.send('ready watched');
  }

  /** Lets the keeper hold a copy of a descriptor until `drop`. Returns the id under which the keeper holds the copy. Throws E_SYSTEM. */
  keep(fd: number, note: string): Promise<number> {
    return this.hold((id) => `keep ${id} ${fd}`, note);
  }

  /** Like `keep`, but `fd` is a descriptor of the process `pid`, which this process has started. */
  async keepOf(pid: number, fd: number, note: string): Promise<number> {
    this.needVersion();
    return await this.hold((id) => `keep-of ${id} ${pid} ${fd}`, note);
  }

  /**
   * Returns the numbers that held descriptors have in the keeper, for `inheritCommand`. A number is valid until `drop`. Throws E_SYSTEM.
   */
  async places(ids: readonly number[]): Promise<readonly number[]> {
    if (ids.length === 0) return [];
    this.needVersion();
    const question = this.nextId++;
    // Ask in one line: this process does not read while it writes, so the answers to many lines could fill the link and block both ends.
    const answer = await this.request(question, `at ${question} ${ids.join(' ')}`);
    if (answer?.verb === 'at') return answer.values;
    throw new RsError('E_SYSTEM', `The keeper cannot name the descriptors of devices ${ids.join(', ')} (${reason(answer)})`);
  }

  note(id: number, note: string): void {
    this.send(`note ${id} ${checked(note)}`);
  }

  /** Resolves when the keeper has closed its copy of the descriptor. */
  async drop(id: number): Promise<void> {
    await this.request(id, `drop ${id}`);
    this.held.delete(id);
  }

  /** Tells the keeper that this process is about to exit and that the keeper must start another process at once. */
  again(): void {
    this.send('again');
  }

  /** Tells the keeper that this process is about to exit and that the keeper must exit, too. */
  farewell(): void {
    this.send('farewell');
  }

  private needVersion(): void {
    if (this.holdsForOthers) return;
    const remedy = 'unmount its devices, and stop and start rsiod (a restart keeps the keeper)';
    throw new RsError('E_SYSTEM', `The keeper is of an older version and holds no devices of other processes: ${remedy}`);
  }

  private async hold(line: (id: number) => string, note: string): Promise<number> {
    if (this.held.size >= KEPT_DEVICES_MAX) throw new RsError('E_SYSTEM', `The keeper already holds ${KEPT_DEVICES_MAX} devices`);
    const id = this.nextId++;
    const question = `${line(id)} ${checked(note)}`;
    this.held.add(id);
    const answer = await this.request(id, question);
    if (answer?.verb === 'ok') return id;
    this.held.delete(id);
    throw new RsError('E_SYSTEM', `The keeper cannot hold the device (${reason(answer)})`);
  }

  private request(id: number, line: string): Promise<Answer | null> {
    return new Promise((resolve) => {
      const timer = this.ports.clock.after(KEEPER_ANSWER_MS, () => this.answered(id, null));
      this.questions.set(id, { answer: resolve, timer });
      this.send(line);
    });
  }

  /** Writes the whole line before returning, because the process may exit right after the call. */
  private send(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(this.fd, bytes, at);
      } catch (thrown) {
        // EAGAIN: the loop tries again. The loop ends soon, because the socket's buffer has room for hundreds of lines, and the keeper does
        // little else than read these lines.
        if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN')) return;
      }
    }
  }

  private receive(text: string): void {
    this.received += text;
    for (let end = this.received.indexOf('\n'); end >= 0; end = this.received.indexOf('\n')) {
      const line = this.received.slice(0, end);
      this.received = this.received.slice(end + 1);
      const [verb, first, second, ...rest] = line.split(' ');
      const id = Number(first);
      if (verb === 'kept') {
        this.found.push({ fd: id, id: Number(second), note: rest.join(' ') });
        this.held.add(Number(second));
        this.nextId = Math.max(this.nextId, Number(second) + 1);
      } else if (verb === 'life') {
        this.inheritance?.({ kept: this.found, life: id, why: [second, ...rest].join(' ') });
      } else if (verb === 'alive?') this.send('alive');
      else if (verb !== undefined && ANSWERS.has(verb)) this.answered(id, { verb, values: [second, ...rest].map(Number) });
    }
  }

  private answered(id: number, answer: Answer | null): void {
    const question = this.questions.get(id);
    this.questions.delete(id);
    question?.timer.cancel();
    question?.answer(answer);
  }
}

function reason(answer: Answer | null): string {
  return answer === null ? `it did not answer within ${KEEPER_ANSWER_MS / 1000} s` : `errno ${answer.values[0]}`;
}

function checked(note: string): string {
  if (note.includes('\n') || Buffer.byteLength(note) > KEPT_NOTE_MAX_BYTES)
    throw new RsError('E_SYSTEM', `What is told of a device has more than ${KEPT_NOTE_MAX_BYTES} bytes, or several lines`);
  return note;
}
