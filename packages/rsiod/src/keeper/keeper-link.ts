// The working process's end of its keeper: what the keeper holds for it, and how it ends. The lines are drawn in helpers/keeper.pl.
// Invariants: what the one before left is complete before `begun` resolves; a keeper that is gone ends this process too, because another
// daemon could take the place of both; each question is answered, or failed, within KEEPER_ANSWER_MS.

import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Clock, Timer } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { KEEPER_ANSWER_MS, KEPT_DEVICES_MAX, KEPT_NOTE_MAX_BYTES } from './limits.ts';

/** The link's descriptor. Set by the keeper for its child, which removes it. */
export const KEEPER_VARIABLE = 'RSIO_KEEPER';

/** A descriptor that the one before has left. */
export interface Kept {
  readonly id: number;
  readonly fd: number;
  readonly note: string;
}

export interface Inheritance {
  readonly kept: readonly Kept[];
  /** Counted from 1, which is the first process of this keeper. */
  readonly life: number;
  /** How the one before ended: `signal 9`. */
  readonly why: string;
}

export interface KeeperLinkPorts {
  readonly clock: Clock;
  /** The keeper is gone: what is held here is held by nobody else any more. */
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

  /** `fd`: of KEEPER_VARIABLE. */
  constructor(fd: number, ports: KeeperLinkPorts) {
    this.ports = ports;
    this.fd = fd;
    this.socket = new Socket({ fd, readable: true, writable: true });
    this.socket.setEncoding('utf8');
    this.socket.on('data', (text: string) => this.hear(text));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => ports.lost());
  }

  /** What the one before has left. Once. */
  begun(): Promise<Inheritance> {
    return new Promise((resolve) => (this.inheritance = resolve));
  }

  /** From now on an end without farewell is a crash, and so is an event loop that stands still. */
  ready(): void {
    // Nothing is to be waited for on its account.
    this.socket.unref();
    this.say('ready watched');
  }

  /** Has a copy of a descriptor kept until `drop`, and gives its id. Throws E_SYSTEM. */
  async keep(fd: number, note: string): Promise<number> {
    if (this.held.size >= KEPT_DEVICES_MAX) throw new RsError('E_SYSTEM', `The keeper already holds ${KEPT_DEVICES_MAX} devices`);
    const id = this.nextId++;
    this.held.add(id);
    const errno = await this.ask(id, `keep ${id} ${fd} ${checked(note)}`);
    if (errno === 0) return id;
    this.held.delete(id);
    const why = errno === null ? `it did not answer within ${KEEPER_ANSWER_MS / 1000} s` : `errno ${errno}`;
    throw new RsError('E_SYSTEM', `The keeper cannot hold the device (${why})`);
  }

  note(id: number, note: string): void {
    this.say(`note ${id} ${checked(note)}`);
  }

  /** Resolves when it holds the descriptor no more. */
  async drop(id: number): Promise<void> {
    await this.ask(id, `drop ${id}`);
    this.held.delete(id);
  }

  /** This process ends, and another one is to take its place at once. */
  again(): void {
    this.say('again');
  }

  /** This process ends, and so does the keeper. */
  farewell(): void {
    this.say('farewell');
  }

  private ask(id: number, line: string): Promise<number | null> {
    return new Promise((resolve) => {
      const timer = this.ports.clock.after(KEEPER_ANSWER_MS, () => this.answered(id, null));
      this.questions.set(id, { answer: resolve, timer });
      this.say(line);
    });
  }

  /** Written when this returns: the process may end behind it. */
  private say(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(this.fd, bytes, at);
      } catch (thrown) {
        // Its buffer holds hundreds of lines, and the keeper does nothing but read them.
        if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EAGAIN')) return;
      }
    }
  }

  private hear(text: string): void {
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
      } else if (verb === 'alive?') this.say('alive');
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
