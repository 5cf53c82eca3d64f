// The child of a keeper and the processes that this child starts, for keeper-others.test.ts. The first argument is the role of the process.
// Each process reports its findings as lines of JSON. Invariant: every process exits, or the process that started it kills it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, openSync, readdirSync, readlinkSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { INHERITED_FD, inheritCommand } from '../inherit-command.ts';
import { keeperAbove } from '../keeper-choice.ts';
import { KeeperLink } from '../keeper-link.ts';
import { KEPT_DEVICES_MAX } from '../limits.ts';

const [, program = '', part = '', folder = ''] = process.argv;

function say(what: string, found: unknown): void {
  appendFileSync(path.join(folder, 'said'), `${JSON.stringify({ what, found })}\n`);
}

function start(command: readonly string[]): ChildProcess {
  const [file = '', ...rest] = command;
  return spawn(file, rest, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: { ...process.env, GIVEN: 'stays' } });
}

const dataProcess = (name: string): string[] => [process.execPath, program, name, folder];

/** Makes a file without a name and a socket that has received data, and sends both descriptor numbers to the parent process. */
async function makeDescriptors(): Promise<void> {
  const file = path.join(folder, 'file');
  const fd = openSync(file, 'w+');
  unlinkSync(file);
  writeSync(fd, 'content of the file');
  const server = createServer({ pauseOnConnect: true });
  server.listen(path.join(folder, 'socket'));
  await once(server, 'listening');
  const client = connect(path.join(folder, 'socket'));
  const [socket] = (await once(server, 'connection')) as [Socket];
  const handle: unknown = Reflect.get(socket, '_handle');
  client.write('data in the socket', () => process.send?.([fd, Reflect.get(handle as object, 'fd')]));
}

/** Reports what the inherited descriptors contain, and exits. Reading from the socket consumes its data. */
function useDescriptors(): void {
  const read = (fd: number, position: number | null): string => {
    const bytes = Buffer.alloc(99);
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, 99, position));
  };
  const mine = [linkOf(INHERITED_FD), linkOf(INHERITED_FD + 1)];
  const copies = readdirSync('/proc/self/fd').filter((fd) => mine.includes(linkOf(Number(fd))));
  say('inherited', [read(INHERITED_FD, null), read(INHERITED_FD + 1, 0), process.env['GIVEN'], copies.length]);
  process.send?.('done', () => process.exit(0));
}

function linkOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

async function failure(action: Promise<unknown>): Promise<void> {
  say('failed', await action.then(String, (thrown: unknown) => (thrown as Error).message));
}

async function inherit(link: KeeperLink, ids: readonly number[]): Promise<void> {
  const heir = start(inheritCommand({ keeper: process.ppid, parent: process.pid, places: await link.places(ids) }, dataProcess('use')));
  const [message] = (await once(heir, 'message')) as [unknown];
  say('told', message);
  if (heir.exitCode === null) await once(heir, 'exit');
}

/**
 * The role of rsiod's main process: lets the keeper hold descriptors of another process, and starts processes that inherit these
 * descriptors.
 */
async function main(): Promise<void> {
  const above = keeperAbove(process.env)!;
  delete process.env['RSIO_KEEPER'];
  const link = new KeeperLink(above, { clock: systemClock, lost: () => process.exit(1) });
  const { kept, life } = await link.begun();
  link.ready();
  say('kept', kept.map(({ note }) => note)); // biome-ignore format: short
  say('able', link.holdsForOthers);
  if (life === 1) {
    const maker = start(dataProcess('make'));
    const [[file, socket]] = (await once(maker, 'message')) as [[number, number]];
    const own = await link.keep(0, 'own');
    const fileId = await link.keepOf(maker.pid!, file, 'file').catch((thrown: Error) => say('failed', thrown.message));
    if (fileId === undefined) {
      await failure(link.places([own]));
      maker.kill('SIGKILL');
      return end(link);
    }
    const socketId = await link.keepOf(maker.pid!, socket, 'socket of it');
    await failure(link.keepOf(maker.pid!, 9_999, ''));
    await failure(link.keepOf(process.ppid, 0, ''));
    await failure(link.keepOf(1, 0, ''));
    await failure(link.places([fileId, 999]));
    say('many', (await link.places(Array.from({ length: KEPT_DEVICES_MAX }, () => fileId))).length);
    await link.drop(own);
    maker.kill('SIGKILL');
    await once(maker, 'exit');
    await inherit(link, [socketId, fileId]);
    process.kill(process.pid, 'SIGKILL');
  }
  if (life > 2) end(link);
  await inherit(
    link,
    [...kept].reverse().map(({ id }) => id),
  );
  const lost = start(inheritCommand({ keeper: process.ppid, parent: process.pid, places: [9_999] }, dataProcess('use')));
  say('code', (await once(lost, 'exit'))[0]);
  end(link);
}

function end(link: KeeperLink): never {
  link.farewell();
  process.exit(5);
}

if (part === 'make') await makeDescriptors();
else if (part === 'use') useDescriptors();
else await main();
