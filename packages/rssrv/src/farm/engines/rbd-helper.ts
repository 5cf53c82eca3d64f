// The helper process of a pool (helpers/farm-rbd.py), which makes the calls to librados and librbd. The first call starts it. Invariants:
// each call settles within ENGINE_CALL_MS; after a failure of the helper, all its calls fail, the next call starts another helper, and no
// answer of the old helper is used.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { isRecord } from '@rsio/base/lib/shape';
import { helperFile } from '../../machine/helper-files.ts';
import {
  ENGINE_CALL_MS,
  NOTE_MAX_BYTES,
  NOTES_MAX,
  PROGRAM_OUTPUT_MAX_CHARS,
  RBD_ANSWER_MAX_CHARS,
  RBD_CALL_MS,
  RBD_CALLS_MAX,
  FARM_RECORD_MAX_BYTES,
} from '../limits.ts';
import type { CephAccess } from './rbd-access.ts';

export interface RbdImage {
  readonly pool: string;
  readonly image: string;
  readonly access: CephAccess;
}

interface Call {
  readonly name: string;
  readonly timer: Timer;
  readonly done: (value: unknown) => void;
  readonly failed: (error: RsError) => void;
}

/**
 * The Python interpreter of the distribution, for which the distribution builds its librados packages. Another interpreter in PATH lacks
 * them.
 */
const PYTHON = '/usr/bin/python3';

export class RbdHelper {
  private readonly clock: Clock;
  private readonly of: RbdImage;
  private process: HelperProcess | null = null;

  constructor(clock: Clock, of: RbdImage) {
    this.clock = clock;
    this.of = of;
  }

  /** Resolves with the value of the answer, which the caller checks. Throws E_STORAGE. */
  ask(name: string, fields: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.process === null || this.process.isOver) this.process = new HelperProcess(this.clock, this.of);
    return this.process.ask(name, fields);
  }

  /** Ends the helper process. Calls that wait for an answer fail. */
  end(): void {
    this.process?.end('it was told to end');
    this.process = null;
  }
}

class HelperProcess {
  private readonly clock: Clock;
  private readonly of: RbdImage;
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  private readonly calls = new Map<number, Call>();
  private lastId = 0;
  private received = '';
  private said = '';
  isOver = false;

  constructor(clock: Clock, of: RbdImage) {
    this.clock = clock;
    this.of = of;
    const { access, pool, image } = of;
    const bounds = [RBD_CALL_MS / 1_000, NOTES_MAX, FARM_RECORD_MAX_BYTES, NOTE_MAX_BYTES].map(String);
    this.child = spawn(PYTHON, ['-I', helperFile('farm-rbd.py'), access.user, access.conf, pool, image, ...bounds], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...access.environment },
    });
    this.child.on('error', (error) => this.end(errnoName(error) === 'ENOENT' ? `${PYTHON} is missing` : error.message));
    this.child.on('close', () => this.end(this.said.trim().split('\n').at(-1) || 'it has ended'));
    // A broken pipe needs no handling, because a `close` event follows.
    this.child.stdin.on('error', () => undefined);
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => this.receive(text));
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.said = (this.said + text).slice(-PROGRAM_OUTPUT_MAX_CHARS)));
  }

  ask(name: string, fields: Readonly<Record<string, unknown>>): Promise<unknown> {
    return new Promise((done, failed) => {
      if (this.calls.size >= RBD_CALLS_MAX) {
        failed(this.failure(name, `${RBD_CALLS_MAX} calls wait already`));
        return;
      }
      const id = ++this.lastId;
      const timer = this.clock.after(ENGINE_CALL_MS, () => this.end(`no answer within ${ENGINE_CALL_MS} ms`));
      this.calls.set(id, { name, timer, done, failed });
      this.child.stdin.write(`${JSON.stringify({ ...fields, id, call: name })}\n`);
    });
  }

  end(reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    killChild(this.child);
    for (const { name, timer, failed } of this.calls.values()) {
      timer.cancel();
      failed(this.failure(name, reason));
    }
    this.calls.clear();
  }

  private receive(text: string): void {
    this.received += text;
    for (let at = this.received.indexOf('\n'); at >= 0 && !this.isOver; at = this.received.indexOf('\n')) {
      const line = this.received.slice(0, at);
      this.received = this.received.slice(at + 1);
      this.settle(line);
    }
    if (this.received.length > RBD_ANSWER_MAX_CHARS) this.end('an answer is too long');
  }

  private settle(line: string): void {
    const answer = parsed(line);
    const call = isRecord(answer) ? this.calls.get(Number(answer['id'])) : undefined;
    if (!isRecord(answer) || call === undefined) {
      this.end('an answer has no form');
      return;
    }
    this.calls.delete(Number(answer['id']));
    call.timer.cancel();
    const error = answer['error'];
    if (isRecord(error)) call.failed(this.failure(call.name, String(error['text']), String(error['code'])));
    else call.done(answer['value']);
  }

  private failure(name: string, reason: string, errno: string | null = null): RsError {
    const { pool, image, access } = this.of;
    return new RsError(
      'E_STORAGE',
      `Ceph did not execute "${name}" for ${pool}/${image} (${reason.trim()}): ${remedy(reason, errno, this.of)}`,
      { pool, image, errno, user: access.user, reason },
    );
  }
}

function remedy(reason: string, errno: string | null, { pool, image, access }: RbdImage): string {
  if (/No module named|python3 is missing/.test(reason)) return 'install ceph-common, python3-rados and python3-rbd';
  if (errno === 'EACCES' || errno === 'EPERM')
    return `give client.${access.user} the rights: ceph auth caps client.${access.user} mon "profile rbd" osd "profile rbd pool=${pool}"`;
  if (errno === 'EBADMSG') return `look at rsio.pool.${image} with: rados -p ${pool} listomapvals rsio.pool.${image}`;
  return `check ${access.conf}, the state of the cluster (ceph -s) and that the image exists (rbd info ${pool}/${image})`;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
