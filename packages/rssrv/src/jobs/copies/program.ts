// Runs qemu-img, which copies a snapshot to a file or an NBD server, or the content of a file or an NBD server to a volume, and which
// checks qcow2 files. The program runs as the user of the workers, cannot get new privileges, and works on descriptors that this process
// has opened. Because of setpriv(1), the kernel kills the program when this server exits. nbdcopy can neither limit its rate nor write
// qcow2. Invariants: at most PROGRAMS_MAX programs are running; a program is killed if it makes no progress or its job has to end. The run
// then ends after at most PROGRAM_KILL_WAIT_MS, even if the program hangs.

import { type ChildProcess, spawn } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { errnoName, RsError } from '@rsio/base/lib/errors';
import { printDuration } from '@rsio/base/lib/units';
import { JobEnds, type RunningJob } from '../jobs.ts';
import {
  PROGRAM_KILL_WAIT_MS,
  PROGRAM_LEAST_BYTES_PER_SECOND,
  PROGRAM_LOOK_MS,
  PROGRAM_SILENT_MS,
  COPY_PROGRAM_TEXT_MAX_CHARS,
  PROGRAMS_MAX,
  PROGRESS_STEPS,
} from '../limits.ts';

export interface ProgramUser {
  readonly uid: number;
  readonly gid: number;
}

/** What the program converts, and how. The program sees the source as /dev/fd/3, and the target as /dev/fd/4. */
export interface ConvertOrder {
  readonly job: RunningJob;
  /** Options for the source. In the arguments of the program, these options precede the name of the source. */
  readonly from: readonly string[];
  /** The arguments that follow `from`, including the names of the source and of the target. */
  readonly args: readonly string[];
  readonly source: number | Socket;
  readonly target: number | Socket;
  /** Name of the target for messages: replaces /dev/fd/4 in the messages of the program. */
  readonly targetText: string;
  /** Name of the source for messages: replaces /dev/fd/3 in the messages of the program. */
  readonly sourceText: string;
  /** User of the program; null if the program runs as the user of this process. */
  readonly user: ProgramUser | null;
  /** Number of bytes to copy; 0 if the number is not yet known. */
  readonly bytes: number;
}

/** Runs the program. Throws JobEnds, or the failure of the program. */
export type Convert = (order: ConvertOrder) => Promise<void>;

/** A qcow2 file whose tables the program checks. */
export interface CheckOrder extends Pick<ConvertOrder, 'job' | 'user'> {
  readonly file: FileHandle;
  /** Name of the file for messages, and what a person should do if the file is damaged. */
  readonly text: string;
  readonly remedy: string;
}

/** Checks a qcow2 file. Throws JobEnds, or E_SYSTEM if the file is damaged or was cut. */
export type CheckImage = (order: CheckOrder) => Promise<void>;

/** What the program that runs is for. */
interface Run {
  readonly job: RunningJob;
  readonly args: readonly string[];
  readonly source: number | Socket;
  readonly target: number | Socket | 'ignore';
  readonly user: ProgramUser | null;
  /** Storage to check if the program makes no progress. */
  readonly storage: string;
  /** Number of bytes to copy; 0 if the number is not known. */
  readonly bytes: number;
  readonly accepts: readonly number[];
  failed(said: string, code: number | null, signal: string | null): Error;
}

const ALL_WELL = [0];
/** qemu-img check ends with 3 if clusters are allocated and not used, which harms nothing. */
const WELL_OR_LEAKED = [0, 3];

const PROGRESS = /\((\d+(?:\.\d+)?)\/100%\)/g;
/** Exit code of setpriv if it does not find the program. */
const NOT_FOUND = 127;
const SEARCH_PATH = '/usr/local/bin:/usr/bin:/bin';
const INSTALL = 'install qemu-utils (Debian), qemu-img (Fedora) or the like';

export class Programs {
  private readonly clock: Clock;
  private readonly searchPath: string;
  private readonly running = new Set<ChildProcess>();

  /** `searchPath` lists the folders in which the programs are searched for. */
  constructor(clock: Clock, searchPath = SEARCH_PATH) {
    this.clock = clock;
    this.searchPath = searchPath;
  }

  readonly convert: Convert = async (order) => {
    const { limitBytes } = order.job.record;
    const rate = limitBytes === null ? [] : ['-r', String(limitBytes)];
    const { job, source, target, user, targetText } = order;
    await this.run({
      job,
      source,
      target,
      user,
      storage: targetText,
      accepts: ALL_WELL,
      args: ['convert', '-p', ...order.from, ...rate, ...order.args],
      // The number may become known only while the program runs.
      get bytes() {
        return order.bytes;
      },
      failed: (said, code, signal) => failure(said, code, signal, order),
    });
  };

  readonly check: CheckImage = async ({ job, user, file, text, remedy }) => {
    const out = await this.run({
      job,
      user,
      source: file.fd,
      target: 'ignore',
      storage: text,
      bytes: (await file.stat()).size,
      accepts: WELL_OR_LEAKED,
      args: ['check', '--output=json', '-f', 'qcow2', '/dev/fd/3'],
      failed: (said, code) => (code === NOT_FOUND ? notInstalled() : notPassed(text, said.replaceAll('/dev/fd/3', text).trim(), remedy)),
    });
    const why = endProblem(out, (await file.stat()).size);
    if (why !== null) throw notPassed(text, why, remedy);
  };

  private run(order: Run): Promise<string> {
    if (this.running.size >= PROGRAMS_MAX)
      throw new JobEnds({ kind: 'waits', reason: `${PROGRAMS_MAX} programs of earlier copies have not ended: their storage hangs` });
    const child = spawn('setpriv', [...privileges(order.user), 'qemu-img', ...order.args], {
      stdio: ['ignore', 'pipe', 'pipe', order.source, order.target],
      cwd: '/',
      env: { PATH: this.searchPath, LC_ALL: 'C' },
    });
    this.running.add(child);
    child.once('close', () => void this.running.delete(child));
    child.once('error', () => void this.running.delete(child));
    return this.ended(child, order);
  }

  /** Resolves with the last part of the output. */
  private ended(child: ChildProcess, order: Run): Promise<string> {
    const { clock } = this;
    const { job } = order;
    return new Promise((resolve, reject) => {
      let [out, said, percent, copiedBytes, movedMs] = ['', '', 0, 0, clock.monotonicMs()];
      let killed: Error | null = null;
      let timer: Timer | null = null;
      const kill = (why: Error): void => {
        killed = why;
        killChild(child);
        timer = clock.after(PROGRAM_KILL_WAIT_MS, () => reject(why));
      };
      const look = (): void => {
        timer = clock.after(PROGRAM_LOOK_MS, look);
        try {
          job.check();
          const silentMs = clock.monotonicMs() - movedMs;
          if (silentMs > silentMaxMs(order.bytes, job.record.limitBytes))
            throw new RsError(
              'E_SYSTEM',
              `qemu-img has made no progress for ${printDuration(silentMs)}: check the storage of ${order.storage}`,
            );
        } catch (thrown) {
          timer.cancel();
          kill(thrown as Error);
        }
      };
      child.stdout?.on('data', (data: Buffer) => {
        const text = data.toString('latin1');
        out = (out + text).slice(-COPY_PROGRAM_TEXT_MAX_CHARS);
        const last = [...text.matchAll(PROGRESS)].at(-1);
        const now = last === undefined ? percent : Math.min(100, Number(last[1]));
        if (now <= percent) return;
        const before = copiedBytes;
        [percent, copiedBytes, movedMs] = [now, Math.floor((order.bytes * now) / 100), clock.monotonicMs()];
        job.copied(copiedBytes - before);
      });
      child.stderr?.on('data', (data: Buffer) => (said = (said + data.toString('utf8')).slice(-COPY_PROGRAM_TEXT_MAX_CHARS)));
      child.once('error', (error) => {
        timer?.cancel();
        reject(errnoName(error) === 'ENOENT' ? new RsError('E_SYSTEM', 'setpriv is not installed: install util-linux') : error);
      });
      child.once('close', (code, signal) => {
        timer?.cancel();
        if (killed !== null) reject(killed);
        else if (code !== null && order.accepts.includes(code)) resolve(out);
        else reject(order.failed(said, code, signal));
      });
      look();
    });
  }
}

function privileges(user: ProgramUser | null): string[] {
  const id = user === null ? [] : ['--reuid', String(user.uid), '--regid', String(user.gid), '--clear-groups'];
  // If the program runs as a user other than root, the change of the user id drops all capabilities. A program of root keeps its
  // capabilities unless they are dropped explicitly.
  const none = user?.uid === 0 ? ['--bounding-set', '-all', '--inh-caps', '-all'] : [];
  return [...id, ...none, '--no-new-privs', '--pdeathsig', 'KILL', '--'];
}

/** Returns the maximum time that a program may take for one step of progress. `bytes` is the number of bytes to copy. */
function silentMaxMs(bytes: number, limitBytes: number | null): number {
  const leastBytes = Math.min(PROGRAM_LEAST_BYTES_PER_SECOND, (limitBytes ?? Number.POSITIVE_INFINITY) / 2);
  return PROGRAM_SILENT_MS + (bytes / PROGRESS_STEPS / leastBytes) * 1_000;
}

function failure(
  said: string,
  code: number | null,
  signal: string | null,
  { targetText, sourceText }: Pick<ConvertOrder, 'targetText' | 'sourceText'>,
): RsError {
  if (code === NOT_FOUND) return notInstalled();
  const text = said
    .trim()
    .replaceAll('/dev/fd/4', targetText)
    .replaceAll('/dev/fd/3', sourceText)
    .replaceAll(/\s*\n\s*/g, '; ');
  const why = text !== '' ? text : signal === null ? `exit code ${code ?? '?'}` : `it was ended by ${signal}`;
  const what = /No space left/.test(text) ? 'make room there' : 'correct that';
  return new RsError('E_SYSTEM', `The copy to ${targetText} failed: ${why}; ${what}, and copy it again`);
}

function notInstalled(): RsError {
  return new RsError('E_SYSTEM', `qemu-img is not installed on this server: ${INSTALL}`);
}

function notPassed(file: string, why: string, remedy: string): RsError {
  const text = why === '' ? 'it is damaged' : why.replaceAll(/\s*\n\s*/g, '; ');
  return new RsError('E_SYSTEM', `${file} does not pass qemu-img check: ${text}; ${remedy}`, { file });
}

/**
 * Returns why the file cannot be whole by the output of `qemu-img check`; null if it can. qemu-img reads as zeros what a file lacks of its
 * last cluster, and finds only the lack of whole clusters. Each program writes whole clusters, unless they are compressed. A part of a
 * compressed cluster cannot be read at all.
 */
function endProblem(output: string, fileBytes: number): string | null {
  const value = (key: string): number => Number(new RegExp(`"${key}": *(\\d+)`).exec(output)?.[1] ?? 0);
  const [endBytes, allocated, compressed] = ['image-end-offset', 'allocated-clusters', 'compressed-clusters'].map(value) as [
    number,
    number,
    number,
  ];
  if (endBytes <= fileBytes || allocated === 0 || compressed > 0) return null;
  return `it was cut: its last cluster ends at byte ${endBytes}, and the file has ${fileBytes}`;
}
