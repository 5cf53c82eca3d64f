// Tests the engine for plain disks with a command as the fence, on a file, a loop device and an XFS of this machine. header-disk.test.ts
// tests the header, header-paxos.test.ts the consensus.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { sleep } from '@rsio/base/lib/waiting';
import { needPrograms } from '@rsio/base/testing/needs';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest';
import { temporaryDirectory } from '../../testing/backend-scene.ts';
import { damageRecord } from '../../testing/damaged-record.ts';
import { engineSuite, write } from '../../testing/engine-suite.ts';
import { firstRecord, type Note } from '../farm-record.ts';
import { DISK_RECORD_MAX_BYTES } from '../limits.ts';
import { CommandEngine, type CommandOptions } from './command.ts';
import { HEADER_BYTES } from './header-format.ts';
import { prepareDisk } from './prepare-disk.ts';
import { newClientName } from './shared-disk.ts';

const DISK_BYTES = 400 * 1024 * 1024;
const OWNERS = ['big-9', 'big-8'];
const directory = temporaryDirectory();
const disk = path.join(directory, 'disk');
const missing = process.getuid?.() === 0 && fs.existsSync('/dev/loop-control') ? null : 'needs root, and the module loop';

function makeDisk(): void {
  fs.rmSync(disk, { force: true });
  fs.writeFileSync(disk, '');
  fs.truncateSync(disk, DISK_BYTES);
}

/** A loop device of another test, which runs beside this one, is ending; or this process waited for a busy machine longer than a disk may. */
const PASSES = /does not say what it is over|has not answered within/;

/** Asks again while the machine does not answer because of what other tests do. */
async function patiently(call: () => Promise<void>): Promise<void> {
  for (;;)
    try {
      return await call();
    } catch (thrown) {
      if (!PASSES.test(toRsError(thrown).message)) throw thrown;
      await sleep(systemClock, 20);
    }
}

class PatientEngine extends CommandEngine {
  override fence(...given: Parameters<CommandEngine['fence']>): Promise<void> {
    return patiently(() => super.fence(...given));
  }

  override clear(): Promise<void> {
    return patiently(() => super.clear());
  }
}

function engineOf(
  server: string,
  command: readonly [string, ...string[]] = ['/bin/false'],
  file = disk,
  clock = systemClock,
  own: Pick<CommandOptions, 'fencesSelf' | 'hardware'> = { fencesSelf: false, hardware: async () => '' },
): CommandEngine {
  return new PatientEngine({ clock, random: Math.random, pool: 'fast', disk: file, server, command, ...own });
}

afterAll(() => removeFolder(directory));

engineSuite('command engine', missing, async () => {
  const file = path.join(directory, 'suite');
  const forget = async (): Promise<void> => {
    fs.rmSync(file, { force: true });
    fs.writeFileSync(file, '');
    fs.truncateSync(file, DISK_BYTES);
    await prepareDisk(systemClock, file, OWNERS, null);
  };
  await forget();
  return {
    lacks: ['fence', 'hang'],
    recordMaxBytes: DISK_RECORD_MAX_BYTES,
    engine: (server) => engineOf(server, ['/bin/false'], file),
    damage: async (text) => damageRecord(file, text),
    forget,
    read: async (positionBytes, lengthBytes) => {
      const descriptor = fs.openSync(file, 'r');
      const bytes = Buffer.alloc(lengthBytes);
      fs.readSync(descriptor, bytes, 0, lengthBytes, HEADER_BYTES + positionBytes);
      fs.closeSync(descriptor);
      return bytes;
    },
    hang: () => undefined,
    resume: () => undefined,
    remove: async () => fs.rmSync(file),
  };
});

beforeEach(makeDisk);
afterEach(async () => {
  if (missing === null) await engineOf('big-9').clear();
});

/** A fence command with this script. */
function fenceCommand(script: string): [string, ...string[]] {
  const file = path.join(directory, 'fence');
  fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return [file, '--off'];
}

async function writerOf(server: string, change: (client: string) => string = (client) => client) {
  return { generation: 7, server, client: change(await newClientName('')) };
}

it('a disk is prepared once, and never if it has a signature', async (context) => {
  needPrograms(context, 'mkfs.ext4');
  const prepared = prepareDisk(systemClock, disk, OWNERS, firstRecord(OWNERS, 1));
  await prepared;
  const header = fs.readFileSync(disk).subarray(0, HEADER_BYTES);
  await expect(prepareDisk(systemClock, disk, OWNERS, null)).rejects.toThrow(/has the header of a shared pool: .*wipefs --all .* dd if=/);
  expect(fs.readFileSync(disk).subarray(0, HEADER_BYTES).equals(header)).toBe(true);
  makeDisk();
  expect(spawnSync('mkfs.ext4', ['-q', disk]).status).toBe(0);
  await expect(prepareDisk(systemClock, disk, OWNERS, null)).rejects.toMatchObject({ code: 'E_EXISTS', message: /signature ext4/ });
  makeDisk();
  await expect(prepareDisk(systemClock, disk, ['big-9', 'big-9'], null)).rejects.toThrow('name 1 to 16 different servers');
  const start = fs.openSync(disk, 'r+');
  fs.writeSync(start, 'XFSB', HEADER_BYTES);
  fs.closeSync(start);
  await expect(prepareDisk(systemClock, disk, OWNERS, null)).rejects.toThrow('has the file system of a shared pool');
});

it('a block device is prepared, looked at and opened, and this machine has it alone', async (context) => {
  context.skip(missing !== null, missing ?? '');
  needPrograms(context, 'losetup');
  const device = spawnSync('losetup', ['--find', '--show', '--sector-size', '4096', disk], { encoding: 'utf8' }).stdout.trim();
  const engine = engineOf('big-9', ['/bin/false'], device);
  try {
    await engine.prepare(OWNERS);
    await engine.prepare(OWNERS);
    expect(await engine.swap(null, firstRecord(OWNERS, 1))).toBe(true);
    expect((await engine.look()).record).toEqual(firstRecord(OWNERS, 1));
    await expect(engineOf('big-8', ['/bin/false'], device).look()).rejects.toMatchObject({ code: 'E_STORAGE', message: /EBUSY/ });
    const client = await engine.connect();
    expect(await write(await client.open(), 0, 'on the disk')).toBe(true);
    await client.close();
  } finally {
    await engine.close();
    spawnSync('losetup', ['--detach', device]);
  }
  expect(fs.readFileSync(disk).toString('latin1', HEADER_BYTES, HEADER_BYTES + 11)).toBe('on the disk');
});

it('the command gets server, generation and client; only exit code 0 proves that the server is dead', async () => {
  const said = path.join(directory, 'said');
  const good = engineOf('big-8', fenceCommand(`echo "$@" "$RSIO_POOL $RSIO_SERVER $RSIO_GENERATION $RSIO_CLIENT" > ${said}`));
  const writer = await writerOf('big-9');
  await good.fence(writer);
  expect(fs.readFileSync(said, 'utf8')).toBe(`--off big-9 7 ${writer.client} fast big-9 7 ${writer.client}\n`);
  const bad = engineOf('big-8', fenceCommand('echo no answer from the BMC; echo of big-9 >&2; exit 3'));
  await expect(bad.fence(writer)).rejects.toMatchObject({
    code: 'E_FENCE',
    message: expect.stringMatching(/its exit code is 3 \((no answer from the BMC; of big-9|of big-9; no answer from the BMC)\)/),
  });
  const none = engineOf('big-8', [path.join(directory, 'none')]);
  await expect(none.fence(writer)).rejects.toMatchObject({ code: 'E_FENCE', message: /ENOENT/ });
});

it('a command that leaves a process behind ends with its own exit code', async () => {
  await engineOf('big-8', fenceCommand('sleep 1000 & exit 0')).fence(await writerOf('big-9'));
});

it('a server fences its own past of this boot without the command, and never another machine with its name', async (context) => {
  context.skip(missing !== null, missing ?? '');
  await prepareDisk(systemClock, disk, OWNERS, null);
  const engine = engineOf('big-9');
  const past = await writerOf('big-9');
  await engine.fence(past);
  await expect(engine.fence(await writerOf('big-9', (client) => client.replace(/^[0-9a-f]{32}/, '0'.repeat(32))))).rejects.toMatchObject({
    code: 'E_FENCE',
    message: /ran on another machine/,
  });
  const client = await engine.connect();
  await client.open();
  await expect(engine.fence(past)).rejects.toMatchObject({ code: 'E_FENCE', message: /still has a loop device/ });
  await engineOf('big-8').clear();
  await expect(engine.fence(past)).rejects.toMatchObject({ code: 'E_FENCE' });
  await client.close();
  await engine.fence(past);
});

const OTHER_BOOT = '/00000000-0000-0000-0000-000000000000/';
const HARDWARE = 'a0'.repeat(16);
/** A clock whose waits are short. */
const hasty = { ...systemClock, after: (delayMs: number, fire: () => void) => systemClock.after(delayMs / 50, fire) };

function note(count: number, generation: number): Note {
  return { generation, count, wants: null, refusal: null };
}

it('the command runs for another boot with the name of the server only with consent, because it may switch this machine off', async () => {
  const said = path.join(directory, 'said-self');
  const past = await writerOf('big-9', (client) => client.replace(/\/[0-9a-f-]{36}\//, OTHER_BOOT));
  const command = fenceCommand(`echo "$RSIO_SERVER $RSIO_SELF" > ${said}`);
  await expect(engineOf('big-9', command).fence(past)).rejects.toMatchObject({
    code: 'E_FENCE',
    message: expect.stringMatching(
      /a copy of this machine .*: stop rssrv here, .* or set fence-self = yes beside fence = command:PROGRAM in \[pool fast\]/,
    ),
  });
  expect(fs.existsSync(said)).toBe(false);
  const consent = { fencesSelf: true, hardware: async () => '' };
  await expect(engineOf('big-9', ['/bin/false'], disk, systemClock, consent).fence(past)).rejects.toThrow('big-9 is not proven dead');
  await engineOf('big-9', command, disk, systemClock, consent).fence(past);
  expect(fs.readFileSync(said, 'utf8')).toBe('big-9 yes\n');
  await engineOf('big-8', fenceCommand(`echo "$RSIO_SERVER $RSIO_SELF" > ${said}`)).fence(past);
  expect(fs.readFileSync(said, 'utf8')).toBe('big-9 no\n');
});

it('an earlier boot of the same hardware has ended, unless a copy of this machine posts notes', async () => {
  await prepareDisk(systemClock, disk, OWNERS, null);
  const own = { fencesSelf: false, hardware: async () => HARDWARE };
  const writer = { generation: 7, server: 'big-9', client: (await newClientName(HARDWARE)).replace(/\/[0-9a-f-]{36}\//, OTHER_BOOT) };
  const engine = engineOf('big-9', ['/bin/false'], disk, hasty, own);
  await expect(engine.fence(writer)).rejects.toThrow('has posted no note yet');
  await engine.post(note(40, 0));
  // The notes of this process prove nothing.
  const fencing = engine.fence(writer);
  await engine.post(note(41, 0));
  await fencing;
  for (const hardware of ['', 'b0'.repeat(16)]) {
    const other = engineOf('big-9', ['/bin/false'], disk, hasty, { ...own, hardware: async () => hardware });
    await expect(other.fence(writer)).rejects.toThrow('set fence-self = yes');
  }
  const refused = expect(engine.fence(writer)).rejects.toMatchObject({
    code: 'E_FENCE',
    message: expect.stringMatching(/a copy of this machine may be running: .*another process calls itself big-9/),
  });
  await Promise.all([refused, new Promise((resolve) => setTimeout(resolve, 30)).then(() => engineOf('big-9').post(note(60, 0)))]);
});

it('a cut shuts the mounted file system down, also what is cached', async (context) => {
  context.skip(missing !== null, missing ?? '');
  needPrograms(context, 'mkfs.xfs', 'mount', 'umount');
  await prepareDisk(systemClock, disk, OWNERS, null);
  const engine = engineOf('big-9');
  const client = await engine.connect();
  const device = await client.open();
  const mountPoint = path.join(directory, 'mount');
  fs.mkdirSync(mountPoint);
  expect(spawnSync('mkfs.xfs', ['-q', device]).status).toBe(0);
  expect(spawnSync('mount', [device, mountPoint]).status).toBe(0);
  try {
    const file = path.join(mountPoint, 'file');
    fs.writeFileSync(file, 'cached');
    const opened = fs.openSync(file, 'r+');
    await expect(engineOf('big-9', ['/bin/false'], disk, hasty).clear()).rejects.toThrow('still over');
    await client.cut();
    expect(() => fs.readSync(opened, Buffer.alloc(6), 0, 6, 0)).toThrow('EIO');
    expect(() => fs.writeSync(opened, 'x', 0)).toThrow('EIO');
    fs.closeSync(opened);
    await client.cut();
  } finally {
    spawnSync('umount', [mountPoint]);
  }
  await client.close();
  // The engine no longer writes to the device itself, because another process may have it by now.
  await expect(client.open()).rejects.toThrow('was cut off');
});

it('a disk that has grown has a larger device', async (context) => {
  context.skip(missing !== null, missing ?? '');
  await prepareDisk(systemClock, disk, OWNERS, null);
  const client = await engineOf('big-9').connect();
  await client.open();
  expect(await client.grow()).toBe(DISK_BYTES - HEADER_BYTES);
  fs.truncateSync(disk, 2 * DISK_BYTES);
  expect(await client.grow()).toBe(2 * DISK_BYTES - HEADER_BYTES);
  await client.close();
});
