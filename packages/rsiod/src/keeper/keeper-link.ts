// The working process's end of the link to its keeper. The keeper holds copies of the working process's descriptors. A comment in
// helpers/keeper.pl describes the lines that are sent over the link. Invariants: `begun` resolves only after everything that the previous
// process left behind has been received. If the keeper is gone, this process exits, because another daemon may then be started. Each
// question to the keeper is answered, or fails, within KEEPER_ANSWER_MS.

import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { KEEPER_ANSWER_MS, KEPT_DEVICES_MAX, KEPT_NOTE_MAX_BYTES } from './limits.ts';

/**
 * Environment variable with two numbers: the descriptor of the link and the number of this child. The keeper sets the variable for its
 * child, and the child removes it.
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

interface Question {
  readonly answer: (errno: number | null) => void;
  readonly timer: Timer;
}

export class KeeperLink {
  private readonly ports: KeeperLinkPorts;
  private readonly fd: number;
  private readonly socket: Socket;
  private readonly questions = new Map<number, Question>();
  private readonly found: Kept[] = [];
  private readonly held = new Set<number>();
  private received = '';
  private nextId = 1;
  private inheritance: ((inheritance: Inheritance) => void) | null = null;

  /** `fd` is the descriptor whose number is in the environment variable KEEPER_VARIABLE. */
  constructor(fd: number, ports: KeeperLinkPorts) {
    this.ports = ports;
    this.fd = fd;
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
  async keep(fd: number, note: string): Promise<number> {
    if (this.held.size >= KEPT_DEVICES_MAX) throw new RsError('E_SYSTEM', `The keeper already holds ${KEPT_DEVICES_MAX} devices`);
    const id = this.nextId++;
    this.held.add(id);
    const errno = await this.request(id, `keep ${id} ${fd} ${checked(note)}`);
    if (errno === 0) return id;
    this.held.delete(id);
    const why = errno === null ? `it did not answer within ${KEEPER_ANSWER_MS / 1000} s` : `errno ${errno}`;
    throw new RsError('E_SYSTEM', `The keeper cannot hold the device (${why})`);
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

  private request(id: number, line: string): Promise<number | null> {
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
      else if (verb === 'ok' || verb === 'gone') this.answered(id, 0);
      else if (verb === 'no') this.answered(id, Number(second));
    }
  }

  private answered(id: number, errno: number | null): void {
    const question = this.questions.get(id);
    this.questions.delete(id);
    question?.timer.cancel();
    question?.answer(errno);
  }
}

function checked(note: string): string {
  if (note.includes('\n') || Buffer.byteLength(note) > KEPT_NOTE_MAX_BYTES)
    throw new RsError('E_SYSTEM', `What is told of a device has more than ${KEPT_NOTE_MAX_BYTES} bytes, or several lines`);
  return note;
}
