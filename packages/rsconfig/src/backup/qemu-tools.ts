// Runs the programs qemu-img and qemu-nbd, which write and read backup files. Invariant: when a function returns or throws, the program
// that it has started has exited.

import { sleep } from '@rsio/base/lib/waiting';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { killChild } from '@rsio/base/lib/kill-child';
import type { Clock } from '@rsio/base/lib/clock';
import { errnoName, RsError, toRsError } from '@rsio/base/lib/errors';
import { LISTEN_RETRY_MS, LISTEN_WAIT_MS, PROGRAM_TEXT_MAX_CHARS } from '../limits.ts';
import { NbdClient } from './nbd-client.ts';

/** Runs qemu-img, and returns its output. If qemu-img fails, throws E_SYSTEM with its error output. */
export function qemuImg(...args: readonly string[]): Promise<string> {
  return qemuImgIn(null, ...args);
}

/** Like `qemuImg`, with `folder` as the working directory. */
export async function qemuImgIn(folder: string | null, ...args: readonly string[]): Promise<string> {
  return await ranQemuImg(folder, args, null);
}

/** Like `qemuImgIn` for commands that tell how far they are: `onPercent` gets a number from 0 to 100. */
export async function qemuImgShown(
  folder: string | null,
  onPercent: (percent: number) => void,
  ...args: readonly [string, ...string[]]
): Promise<string> {
  const [command, ...others] = args;
  return await ranQemuImg(folder, [command, '-p', ...others], onPercent);
}

async function ranQemuImg(folder: string | null, args: readonly string[], onPercent: ((percent: number) => void) | null): Promise<string> {
  const { ended } = start('qemu-img', args, folder, onPercent);
  const { code, out, text } = await ended;
  // qemu-img compare says on stdout where the contents differ.
  const why = text || out.trim().slice(-PROGRAM_TEXT_MAX_CHARS) || `exit code ${code ?? '?'}`;
  if (code !== 0) throw new RsError('E_SYSTEM', `qemu-img ${args[0] ?? ''} failed: ${why}`);
  return out;
}

/** Returns the URI of an export on a Unix socket. */
export function exportUri(socketPath: string, name: string): string {
  return `nbd+unix:///${encodeURI(name)}?socket=${encodeURIComponent(socketPath)}`;
}

/** Returns the options with which qemu-img opens a range of an export on a Unix socket. */
export function exportOptions(range: Readonly<Record<string, string | number>>, socketPath: string, name: string): string {
  const options = { ...range, 'file.driver': 'nbd', 'file.server.type': 'unix', 'file.server.path': socketPath, 'file.export': name };
  return Object.entries(options)
    .map(([key, value]) => `${key}=${String(value).replaceAll(',', ',,')}`)
    .join(',');
}

/** Opens a qcow2 file for writing with qemu-nbd while `work` runs. */
export async function withImage<T>(file: string, clock: Clock, work: (image: NbdClient) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'rsconfig-'));
  const socket = path.join(folder, 'image');
  const args = ['--socket', socket, '--format', 'qcow2', '--cache', 'writeback', '--export-name', 'image', file];
  const { ended, kill } = start('qemu-nbd', args, null);
  let isOver = false;
  void ended.finally(() => (isOver = true)).catch(() => undefined);
  try {
    const image = await opened(socket, clock, () => isOver, ended);
    let result: T;
    try {
      result = await work(image);
    } finally {
      // Disconnecting is enough to end qemu-nbd, which exits when its last client disconnects.
      image.close();
    }
    const { code, text } = await ended;
    if (code !== 0) throw new RsError('E_SYSTEM', `qemu-nbd failed: ${text === '' ? `exit code ${code ?? '?'}` : text}`);
    return result;
  } finally {
    kill();
    await ended.catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

async function opened(socket: string, clock: Clock, isOver: () => boolean, ended: Promise<Ended>): Promise<NbdClient> {
  const endMs = clock.monotonicMs() + LISTEN_WAIT_MS;
  for (;;) {
    try {
      return await NbdClient.open(socket, 'image', null);
    } catch (thrown) {
      if (isOver()) throw new RsError('E_SYSTEM', `qemu-nbd ended: ${(await ended).text}`);
      if (clock.monotonicMs() > endMs) throw thrown;
    }
    await sleep(clock, LISTEN_RETRY_MS);
  }
}

/** How qemu-img -p tells how far it is. */
const PERCENT = /\s*\((\d+(?:\.\d+)?)\/100%\)\s*/g;

interface Ended {
  readonly code: number | null;
  readonly out: string;
  /** The last part of the text that the program has written to stderr. */
  readonly text: string;
}

function start(
  program: string,
  args: readonly string[],
  folder: string | null,
  onPercent: ((percent: number) => void) | null = null,
): { readonly ended: Promise<Ended>; readonly kill: () => void } {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(folder === null ? {} : { cwd: folder }) });
  let [out, text] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => {
    out += bytes.toString('utf8');
    if (onPercent === null) return;
    const told = [...out.matchAll(PERCENT)].at(-1);
    if (told === undefined) return;
    onPercent(Number(told[1]));
    out = out.replaceAll(PERCENT, '');
  });
  child.stderr.on('data', (bytes: Buffer) => (text = (text + bytes.toString('utf8')).slice(-PROGRAM_TEXT_MAX_CHARS)));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', (error) =>
      reject(
        errnoName(error) === 'ENOENT'
          ? new RsError('E_SYSTEM', `${program} is not installed: install qemu-utils (Debian), qemu-img (Fedora) or the like`)
          : toRsError(error),
      ),
    );
    child.once('close', (code) => resolve({ code, out, text: text.trim() }));
  });
  return { ended, kill: () => killChild(child, 'SIGTERM') };
}
