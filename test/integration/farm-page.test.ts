// The failures of farms in docs/OPERATING.md, one section each: this test makes each failure happen while a client writes, gives the commands
// of the section on the servers that their prompts name, and compares what is printed. Commands that can be repeated are repeated
// until they print what the page shows, because a farm needs time. Names of disks, times and generations are masked. Failures of the storage and
// servers that come back as zombies need Ceph. Invariant: the page has a section for each failure here, and no other.

import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, type TestContext } from 'vitest';
import { JudgedLoad } from '../support/drills/judged-load.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { PageShell, sectionOf, type Step, stepsOf } from '../support/programs/page-steps.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(path.join(REPOSITORY, 'docs/OPERATING.md'), 'utf8');
const FAILURES = sectionOf(PAGE, '### Failures of a farm');
const NAMES = ['big-9', 'big-8', 'big-7'];
const CLIENT = 'big-2';
const SHOWN_MS = 60_000;
/** On a busy machine, a server may be silent for several seconds. big-7 leaves take-overs to big-8, even to a slow one, as the page shows. */
const TAKE_OVER_AFTER: Readonly<Record<string, string>> = { 'big-9': '10s', 'big-8': '10s', 'big-7': '60s' };
const DISK_BYTES = 64 * 1024 * 1024;
const HEADER_BYTES = 1024 * 1024;
/** Names on the page. */
const [DISK, WRONG_DISK] = ['/dev/disk/by-id/wwn-0x5000c500a1b2c3d4', '/dev/disk/by-id/wwn-0x5000c500a1b2c3ff'];
const POWER_OFF = '/usr/local/sbin/power-off';
const DRILL_MS = 300_000;
const JUDGED_IOS = 100;
/** Commands that can be repeated: those that only show something, and moves, because a slow server may be unseen for a moment. */
const REPEATABLE = /^(?:rsadm (?:farm|pool move|volume list)|rsconfig events|rsslogcat)\b/;
/** Stand-ins for systemd, apt and the editor; rssrv runs under the root of its host. */
const STUBS = {
  systemctl: `PID=$RSIO_ROOT/run/rsio/rssrv/pid
    case $1 in
    start) rm -f $MARKS/want-$NAME $MARKS/dead-$NAME; RSIO_TEST_HOST=$RSIO_ROOT exec rssrv 2> /dev/null ;;
    stop) kill $(cat $PID) && while kill -0 $(cat $PID 2> /dev/null) 2> /dev/null; do sleep 0.1; done ;;
    esac`,
  // As the packages do.
  'apt-get': 'systemctl stop rssrv && systemctl start rssrv',
  // The administrator corrects the program of the fence.
  vi: 'cp $1.well $1',
};

interface Failure {
  happens(farm: FarmScene): Promise<void> | void;
  /** Called after the commands of the section. */
  ends?(farm: FarmScene): Promise<void> | void;
}

const big = (farm: FarmScene, name: string): Host => farm.servers[farm.names.indexOf(name)]!;
const dies = (farm: FarmScene, name: string): void => farm.signal(big(farm, name), 'SIGKILL');

/** Failures of a farm on a disk, with a fence command; big-9 serves the pool. */
const ON_FILES: Readonly<Record<string, Failure>> = {
  'A server dies, and comes back': { happens: (farm) => dies(farm, 'big-9') },
  'A server stands still': { happens: (farm) => farm.signal(big(farm, 'big-9'), 'SIGSTOP') },
  'A server is cut off from its clients': {
    happens: (farm) => isolate('add', addressOf(farm, 'big-9')),
    ends: (farm) => isolate('del', addressOf(farm, 'big-9')),
  },
  'A file system fails': {
    happens: (farm) => expect(spawnSync('xfs_io', ['-x', '-c', 'shutdown', farm.mountOf(big(farm, 'big-9'), 'fast')]).status).toBe(0),
  },
  'A fence fails': {
    happens: (farm) => {
      const fence = fenceOf(farm);
      copyFileSync(fence, `${fence}.well`);
      writeFileSync(fence, '#!/bin/sh\necho no answer from big-9-ipmi\nexit 1\n');
      dies(farm, 'big-9');
    },
  },
  'All servers are off after a power cut': {
    happens: async (farm) => {
      for (const name of NAMES) dies(farm, name);
      await waitFor(() => farm.servers.every((server) => server.processes().length === 0), SHOWN_MS, 'All servers have ended');
      for (const server of farm.servers) if (farm.isMounted(server, 'fast')) spawnSync('umount', [farm.mountOf(server, 'fast')]);
    },
  },
  'The servers are upgraded': { happens: () => undefined },
  'The disk is a wrong one': {
    happens: (farm) => {
      const disk = wrongDisk(farm);
      writeFileSync(disk, Buffer.alloc(DISK_BYTES));
      expect(spawnSync('mkfs.ext4', ['-q', disk]).status).toBe(0);
    },
  },
  // Afterwards, the pool is no longer a shared pool.
  'The header of the disk is damaged': {
    happens: (farm) => {
      const disk = openSync(diskOf(farm), 'r+');
      writeSync(disk, Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
      closeSync(disk);
    },
  },
};

function fenceOf(farm: FarmScene): string {
  return farm.holder.file('shared/fence.sh');
}

function diskOf(farm: FarmScene): string {
  return /^disk *= *(\S+)/m.exec(readFileSync(farm.servers[1]!.rssrvPaths.configFile, 'utf8'))?.[1] ?? '';
}

function wrongDisk(farm: FarmScene): string {
  return farm.holder.file('shared/disk-wrong');
}

function addressOf(farm: FarmScene, name: string): string {
  return /^address *= *(\S+)/m.exec(readFileSync(big(farm, name).rssrvPaths.configFile, 'utf8'))?.[1] ?? '';
}

/** `add`: makes the kernel refuse all packets to this address; `del`: ends this refusal. */
function isolate(what: 'add' | 'del', address: string): void {
  expect(spawnSync('ip', ['route', what, 'prohibit', `${address}/32`, 'table', 'local'], { encoding: 'utf8' }).stderr).toBe('');
}

const hosts = useHosts('file', 'programs');

class Page {
  readonly farm: FarmScene;
  private readonly judge: JudgedLoad;
  private readonly shells = new Map<string, PageShell>();

  private constructor(farm: FarmScene, judge: JudgedLoad) {
    this.farm = farm;
    this.judge = judge;
    const stubs = path.dirname(farm.holder.file('stubs/systemctl'));
    mkdirSync(stubs, { recursive: true });
    for (const [name, text] of Object.entries(STUBS)) writeFileSync(path.join(stubs, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    for (const [name, host] of [...farm.servers.map((server) => [farm.nameOf(server), server] as const), [CLIENT, farm.holder] as const]) {
      const marks = { MARKS: path.dirname(fenceOf(farm)), NAME: name };
      // The shell itself outlives the machine.
      const env = { ...marks, RSIO_ROOT: host.root, PATH: `${stubs}:${REPOSITORY}/bin:${process.env['PATH'] ?? ''}` };
      this.shells.set(name, new PageShell({ cwd: host.root, timeoutMs: DRILL_MS * 20, env }));
    }
  }

  static async open(farm: FarmScene): Promise<Page> {
    const { holder } = farm;
    for (const server of farm.servers)
      await server.rsadmWell('pool', 'set', 'fast', `take-over-after=${TAKE_OVER_AFTER[farm.nameOf(server)]}`);
    await (await farm.served('fast')).rsadmWell('volume', 'create', 'oracle', '--size', '16m');
    await waitFor(async () => (await holder.rsconfig('-q')).stdout.includes('oracle'), SHOWN_MS, 'The client sees the volume');
    await holder.rsconfigWell('-a', 'oracle');
    const aborter = new AbortController();
    hosts.onClean(() => aborter.abort());
    return new Page(farm, await JudgedLoad.start(holder, 'osl/oracle', { beginBytes: 0, flushes: true, pauseMs: 4 }, aborter.signal));
  }

  /** Makes the failure happen while big-9 serves the pool, and gives the commands of its section. */
  async play(heading: string, failure: Failure): Promise<void> {
    const { farm, judge } = this;
    for (const server of farm.servers) if (server.processes().length === 0) await farm.revive(server);
    if ((await farm.served('fast')) !== big(farm, 'big-9')) {
      // The other servers do not yet see a server that has just started.
      const moves = async (): Promise<boolean> => (await big(farm, 'big-8').rsadm('pool', 'move', 'fast', '--to', 'big-9')).code === 0;
      await waitFor(moves, SHOWN_MS, 'The pool moves to big-9');
    }
    await this.goesOn();
    await failure.happens(farm);
    const steps = stepsOf(sectionOf(FAILURES, `#### ${heading}`));
    expect(steps.length).toBeGreaterThan(0);
    for (const step of steps) await this.step(step);
    await failure.ends?.(farm);
    await this.goesOn();
    expect(judge.breaches).toEqual([]);
  }

  async close(): Promise<void> {
    const { judge, farm } = this;
    await judge.stop();
    const nbd = await NbdIo.open(farm.holder.rsiodPaths.nbdSocket, 'osl/oracle');
    await judge.compare('read at the end', (offset, lengthBytes) => nbd.read(offset, lengthBytes));
    nbd.close();
    expect([judge.errors, judge.breaches]).toEqual([[], []]);
    for (const shell of this.shells.values()) shell.end();
  }

  private async goesOn(): Promise<void> {
    const { judge } = this;
    const before = judge.answered;
    await waitFor(() => judge.answered >= before + JUDGED_IOS || judge.errors.length > 0, SHOWN_MS, 'I/O goes on');
    expect(judge.errors).toEqual([]);
  }

  private async step({ prompt, command, output }: Step): Promise<void> {
    const name = prompt.slice(0, -1);
    const shell = this.shells.get(name);
    expect(shell, `${prompt} ${command}`).toBeDefined();
    // A line that is too long for the page continues in the next line, after two spaces.
    const wanted = this.masked((output ?? '').replaceAll(/\n {2}(?=\S)/g, ' '));
    let printed = '';
    const isPrinted = async (): Promise<boolean> => {
      printed = this.masked((await shell!.run(this.real(command, name))).output);
      return printed === wanted;
    };
    if (REPEATABLE.test(command)) await waitFor(isPrinted, SHOWN_MS, command).catch(() => undefined);
    else await isPrinted();
    // All differences of a section are shown.
    expect.soft({ prompt, command, printed }).toEqual({ prompt, command, printed: wanted });
  }

  /** Replaces the names on the page by those of this farm. */
  private real(text: string, name: string): string {
    const { farm } = this;
    return text
      .replaceAll(POWER_OFF, fenceOf(farm))
      .replaceAll(DISK, diskOf(farm))
      .replaceAll(WRONG_DISK, wrongDisk(farm))
      .replaceAll('/storage/', `${(farm.servers.find((server) => farm.nameOf(server) === name) ?? farm.holder).root}/srv-`);
  }

  /** Hides what differs between the page and a run, and between two runs. */
  private masked(text: string): string {
    const { farm } = this;
    const places = farm.servers.map((server) => `${server.root}/srv-`);
    return [...places, '/storage/']
      .reduce((masked, place) => masked.replaceAll(place, 'PLACE-'), text)
      .replaceAll(fenceOf(farm), POWER_OFF)
      .replaceAll(wrongDisk(farm), WRONG_DISK)
      .replaceAll(diskOf(farm), DISK)
      .replaceAll(/ {2,}/g, ' ')
      .replaceAll(/^big-\d@\S+ \S+ \(GMT\) /gm, '')
      .replaceAll(/\d{4}(?:_\d\d){2}-[\d:]+/g, 'DATE')
      .replaceAll(/\b\d+\.\d s\b/g, 'TIME')
      .replaceAll(/\b\d+\.\dM\b/g, 'SIZE')
      .replaceAll(/\b\d+ DATE/g, 'NUMBER DATE')
      .replaceAll(/generation \d+/g, 'generation NUMBER')
      .replaceAll(/process \d+/g, 'process NUMBER')
      .replaceAll(/ (?=\n)/g, '');
  }
}

it('the page has a section for each failure', () => {
  const sections = [...FAILURES.matchAll(/^#### (.*)$/gm)].map(([, heading = '']) => heading);
  expect(sections).toEqual(Object.keys(ON_FILES));
});

describe('on a disk with a fence command', () => {
  let opened: Page | null = null;
  const page = async (context: TestContext): Promise<Page> => {
    needTool(context, 'ip', 'iproute2');
    needTool(context, 'xfs_io', 'xfsprogs');
    opened ??= await Page.open(await FarmScene.onFiles(context, hosts, NAMES, ['fast']));
    return opened;
  };
  afterAll(() => opened?.close());

  for (const [heading, failure] of Object.entries(ON_FILES))
    it(heading, { timeout: DRILL_MS }, async (context) => {
      await (await page(context)).play(heading, failure);
    });
});
