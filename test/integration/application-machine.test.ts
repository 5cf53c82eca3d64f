// The real parts of an application on a machine: a file system on a loop device with fsck, an address, programs in a control group whose
// children have left their session, and a stand-in for systemctl. Every part that comes up goes down again, even if a stranger uses the
// mount.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parsePrefixedAddress } from '@rsio/base/lib/units';
import { needPrograms } from '@rsio/base/testing/needs';
import { beforeAll, expect, it } from 'vitest';
import { DeviceHost, needDevices } from '../support/devices/devices.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { launcher } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const STEP = path.join(launcher('..'), 'test/dist/support/programs/app-machine.js');
const WAIT_MS = 20_000;
const CGROUPS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((folder) => existsSync(path.join(folder, 'cgroup.procs')));
const hosts = useHosts('file');
let devices: DeviceHost;
let groups: string;
let device: string;
let mount: string;

beforeAll(async () => {
  if (CGROUPS === undefined || process.getuid?.() !== 0) return;
  devices = new DeviceHost(hosts, ['unshare', '--net']);
  await devices.ready;
  const { host } = devices;
  groups = path.join(CGROUPS, `rsio-test-${process.pid}`);
  hosts.onClean(() => {
    for (const name of existsSync(groups) ? readdirSync(groups).filter((one) => one.startsWith('app-')) : [])
      rmdirSync(path.join(groups, name));
    if (existsSync(groups)) rmdirSync(groups);
  });
  mount = path.join(host.root, 'mnt');
  mkdirSync(mount);
  await devices.well(
    'truncate -s 32m "$1"; mkfs.ext4 -q "$1"; ip link add eth9 type veth peer name eth8; ip addr add 10.9.0.1/24 dev eth9; ip link set eth9 up',
    host.file('image'),
  );
  device = (await devices.well('losetup --find --show "$1"', host.file('image'))).trim();
}, 60_000);

function program(name: string, text: string): string {
  const file = devices.host.file(`app/${name}`);
  writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return file;
}

function configOf(service: object, more: object = {}): object {
  return {
    name: 'one',
    volumes: ['db'],
    mounts: [{ volume: null, path: mount }],
    mountOptions: 'noatime',
    service,
    check: null,
    nodes: ['a'],
    address: { address: '10.9.0.5', prefix: 24, device: null },
    startTimeoutMs: 10_000,
    stopTimeoutMs: 2000,
    checkTimeoutMs: 2000,
    ...more,
  };
}

async function step(config: object, name: string): Promise<unknown> {
  const text = await devices.well(
    `"$1" "$2" "$3" "$4" "$5" "$6" "$7"`,
    ...[process.execPath, STEP, JSON.stringify(config), groups, device, name, devices.host.root],
  );
  return JSON.parse(text) as unknown;
}

const UP = { mounted: 1, hasAddress: true, service: 'running' };
const DOWN = { mounted: 0, hasAddress: false, service: 'stopped' };

it('programs, a file system and an address go up and down, and a second time', { timeout: 120_000 }, async (context) => {
  needDevices(context);
  needPrograms(context, 'perl');
  context.skip(CGROUPS === undefined, 'needs control groups of version 2');
  // The service leaves a child that ignores SIGTERM and has its own session.
  const start = program('start', `setsid sh -c 'trap "" TERM; cd ${mount}; while :; do sleep 1; done' &\nexec sleep 1000`);
  const config = configOf({ kind: 'programs', start, stop: null }, { check: program('check', `test -d ${mount}/lost+found`) });
  expect(await step(config, 'state')).toEqual(DOWN);
  for (let time = 0; time < 2; time++) {
    expect(await step(config, 'up')).toEqual([]);
    expect(await step(config, 'up'), 'what is up stays').toEqual([]);
    expect([await step(config, 'state'), await step(config, 'check')]).toEqual([UP, null]);
    expect(await devices.well('grep " $1 " /proc/mounts; ip -o addr show dev eth9', mount)).toMatch(/noatime[^]*10\.9\.0\.5\/24/);
    expect(await step(config, time === 0 ? 'down' : 'kill')).toBeNull();
    expect(await step(config, 'state')).toEqual(DOWN);
  }
  await devices.well('mount "$1" "$2"', device, mount);
  expect([await step(config, 'state'), await step(config, 'kill')], 'the mount of a person, at the same place').toEqual([DOWN, null]);
  await devices.well('umount "$1"', mount);
});

it('a stranger that uses the mount is killed; a foreign mount, errors of the file system and a bad check are refused', {
  timeout: 120_000,
}, async (context) => {
  needDevices(context);
  needPrograms(context, 'perl');
  context.skip(CGROUPS === undefined, 'needs control groups of version 2');
  const config = configOf({ kind: 'programs', start: program('start', 'exec sleep 1000'), stop: null });
  await step(config, 'up');
  await devices.well('cd "$1"; setsid sh -c "exec sleep 1001 9> file" > /dev/null 2>&1 & sleep 0.3', mount);
  const inContainer = 'mount -t tmpfs none "$1" && cd "$1" && exec sleep 1002';
  const contained = await devices.well(`unshare --mount sh -c '${inContainer}' sh "$1" > /dev/null 2>&1 & echo $!; sleep 0.3`, mount);
  expect(await step(config, 'down')).toBeNull();
  expect(await step(config, 'state')).toEqual(DOWN);
  await devices.well('kill "$1"', contained.trim());
  await devices.well('mount -t tmpfs none "$1"', mount);
  expect(await step(config, 'up')).toEqual({ error: expect.stringContaining('Something is mounted') as string });
  expect(await step(config, 'kill')).toBeNull();
  expect(await devices.well('grep " $1 " /proc/mounts', mount), 'a mount that rsapp did not make stays').toContain('tmpfs');
  await devices.well('umount "$1"', mount);
  const unwell = configOf(
    { kind: 'programs', start: program('start', 'exec sleep 1000'), stop: null },
    { check: program('bad', 'echo no >&2; exit 3'), startTimeoutMs: 1000 },
  );
  expect(await step(unwell, 'up')).toEqual({ error: 'Its check ended with 3: no' });
  expect(await step(unwell, 'kill')).toBeNull();
  await devices.well('dd if=/dev/urandom of="$1" bs=4k count=64 conv=notrunc status=none', device);
  expect(await step(config, 'up')).toEqual({ error: expect.stringContaining('fsck') as string });
  await step(config, 'kill');
  expect(await step(config, 'state')).toEqual(DOWN);
});

it('a systemd unit is started, found to have failed, and killed if it does not stop', { timeout: 120_000 }, async (context) => {
  needDevices(context);
  context.skip(CGROUPS === undefined, 'needs control groups of version 2');
  const state = devices.host.file('unit-state');
  writeFileSync(state, 'inactive');
  const log = devices.host.file('unit-log');
  const text = `echo "$@" >> ${log}\ncase $1 in\nshow) echo LoadState=loaded; echo ActiveState=$(cat ${state});;\nstart) echo active > ${state};;\nstop) test -e ${state}.stuck && exit 1; echo inactive > ${state};;\nkill) rm -f ${state}.stuck;;\nesac`;
  const folder = path.dirname(program('systemctl', text));
  const config = configOf({ kind: 'unit', unit: 'pg.service' }, { mounts: [], address: null });
  const stepOf = async (name: string): Promise<unknown> =>
    JSON.parse(await devices.well(`PATH="$1:$PATH" "$2" "$3" "$4" x x "$5"`, folder, process.execPath, STEP, JSON.stringify(config), name));
  expect(await stepOf('up')).toEqual([]);
  expect(await stepOf('state')).toEqual({ mounted: 0, hasAddress: false, service: 'running' });
  writeFileSync(`${state}.stuck`, '');
  expect(await stepOf('down')).toBeNull();
  expect(await stepOf('state')).toMatchObject({ service: 'stopped' });
  writeFileSync(state, 'failed');
  expect(await stepOf('state')).toMatchObject({ service: 'failed' });
  await waitFor(() => existsSync(log), WAIT_MS, 'The stand-in was used');
});

it('an IPv6 address that is written in another way is usable when the service starts, and leaves with it; a duplicate is named', {
  timeout: 120_000,
}, async (context) => {
  needDevices(context);
  context.skip(CGROUPS === undefined, 'needs control groups of version 2');
  await devices.well(
    'ip link set eth8 up; for dev in eth8 eth9; do echo 1 > /proc/sys/net/ipv6/conf/$dev/accept_dad; done; ip addr add fd00:78::1/64 dev eth9',
  );
  const seen = devices.host.file('seen');
  const start = program('start6', `ip -o -6 addr show dev eth9 > ${seen}\nexec sleep 1000`);
  const service = { kind: 'programs', start, stop: null };
  const { address } = parsePrefixedAddress('FD00:78:0::20');
  const config = configOf(service, { mounts: [], address: { address, prefix: 64, device: null } });
  const shown = (): Promise<string> => devices.well('ip -o -6 addr show to fd00:78::20');
  expect(await step(config, 'up')).toEqual([]);
  await waitFor(() => existsSync(seen), WAIT_MS, 'The service has started');
  const lineAtStart = readFileSync(seen, 'utf8').match(/^.*fd00:78::20.*$/m)?.[0] ?? '';
  expect(lineAtStart).toContain('fd00:78::20/64');
  expect(lineAtStart).not.toContain('tentative');
  expect(await step(config, 'state')).toMatchObject({ hasAddress: true, service: 'running' });
  expect(await step(config, 'down')).toBeNull();
  expect([await shown(), await step(config, 'state')]).toEqual(['', { mounted: 0, hasAddress: false, service: 'stopped' }]);
  await devices.well('ip addr add fd00:78::20/64 dev eth8 nodad');
  const other = configOf(service, { mounts: [], address: { address, prefix: 64, device: 'eth8' } });
  expect(await step(other, 'state'), 'an address of a person counts too').toMatchObject({ hasAddress: true });
  await devices.well('ip addr del fd00:78::20/64 dev eth8; ip link set eth8 down; ip addr flush dev eth9 to fd00:78::20');
  expect(await step({ ...other, startTimeoutMs: 1000 }, 'up')).toEqual({
    error: expect.stringContaining('is still tentative after 10 s: check that eth8 has a carrier') as string,
  });
  expect(await step(other, 'kill')).toBeNull();
  expect(await shown()).toBe('');
  // The other end of the cable has the address, in a network of its own, as another machine has it.
  await devices.well(
    'unshare --net sleep 600 > /dev/null 2>&1 & echo $! > "$1"; sleep 0.5; ip link set eth8 netns "$(cat "$1")"',
    devices.host.file('peer'),
  );
  const inPeer = 'nsenter --net="/proc/$(cat "$1")/ns/net"';
  await devices.well(
    `${inPeer} ip link set eth8 up; ${inPeer} ip addr add fd00:78::20/64 dev eth8 nodad; ip link set eth9 up; sleep 1`,
    devices.host.file('peer'),
  );
  await devices.well('ip addr show dev eth9 | grep -q fd00:78::1 || ip addr add fd00:78::1/64 dev eth9 nodad');
  expect(await step(config, 'up')).toEqual({ error: expect.stringContaining('Another machine has address fd00:78::20') as string });
  expect(await step(config, 'kill')).toBeNull();
  expect(await shown()).toBe('');
  await devices.well('kill "$(cat "$1")"', devices.host.file('peer'));
});
