// Settings, their files, and the configuration as one file: wrong content is refused before anything changes, and an interrupted restore is
// completed.

import { SERVER_FILE_HEAD } from '@rsio/common/testing/sample-rssrvcfg';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { useApplianceScene } from './testing/appliance-scene.ts';
import { applySettings, changeSettings } from './apply.ts';
import { setPassword, setTime } from './changes.ts';
import { appliancePaths, exclusively } from './machine.ts';
import { acceptConfig, finishRestore, presentConfig, savedContent, savedText } from './saved-config.ts';
import { FIRST_SETTINGS, readSettings, type Settings, writeSettings } from './settings.ts';
import { mountUnitOf, systemFiles } from './system-files.ts';

const SETTINGS: Settings = {
  hostname: 'big-9',
  dns: ['192.168.45.1'],
  zone: 'Europe/Oslo',
  ntp: ['ntp.example.com'],
  passwordHash: '$6$salt$hashhashhash',
  interfaces: [
    { mac: '52:54:00:00:00:06', addresses: ['192.168.45.10/24', 'fd00::9/64'], gateway: '192.168.45.1' },
    { mac: '52:54:00:00:00:07', addresses: [], gateway: null },
  ],
  pools: [{ name: 'fast-1', fileSystem: '2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21' }],
};
const HOST_KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nx\n';
const scene = useApplianceScene('etc', 'proc', 'config/dvsc', 'config/ssh');

beforeEach(() => {
  scene.output = (program, args) => {
    if (program === 'ssh-keygen') writeFileSync(String(args.at(-1)), HOST_KEY);
    return program.endsWith('hash-password') ? '$6$salt$hashhashhash\n' : '';
  };
});

test('settings become files of the system', () => {
  const files = systemFiles(SETTINGS);
  const networks = ['525400000006', '525400000007'].map(
    (one) => files.get(`/run/systemd/network/10-rsio-${one}.network`)?.split('[Network]\n')[1],
  );
  expect(networks).toEqual(['Address=192.168.45.10/24\nAddress=fd00::9/64\nGateway=192.168.45.1\n', 'DHCP=yes\n']);
  expect(mountUnitOf('fast-1')).toBe('srv-fast\\x2d1.mount');
  expect(files.get('/run/systemd/system/srv-fast\\x2d1.mount')).toContain(
    'What=/dev/disk/by-uuid/2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21\nWhere=/srv/fast-1\n',
  );
  expect(files.get('/run/systemd/system/rssrv.service.d/pools.conf')).toContain('After=srv-fast\\x2d1.mount');
  expect(systemFiles(FIRST_SETTINGS).get('/run/systemd/system/rssrv.service.d/pools.conf')).toBe('');
});

test('there is a login over the network only with a password', async () => {
  await applySettings(scene, true);
  expect(scene.programs).toContain('usermod --password ! root');
  expect(scene.programs).toContain('systemctl stop --no-block ssh.service');
  await changeSettings(scene, () => SETTINGS);
  expect(scene.programs).toContain('usermod --password $6$salt$hashhashhash root');
  expect(scene.programs.filter((line) => line.startsWith('networkctl'))).toEqual(['networkctl reload']);
  expect(readFileSync(appliancePaths(scene.root).hostKey, 'utf8')).toBe(HOST_KEY);
  expect(readdirSync(`${scene.root}/run/rsio-appliance`)).toEqual([]);
  expect(scene.programs.findIndex((line) => line.startsWith('ssh-keygen'))).toBeLessThan(
    scene.programs.indexOf('systemctl start --no-block ssh.service'),
  );
  expect(readdirSync(`${scene.root}/run/systemd/network`)).toEqual(['10-rsio-525400000006.network', '10-rsio-525400000007.network']);
  await changeSettings(scene, (now) => ({ ...now, interfaces: [] }));
  expect(readdirSync(`${scene.root}/run/systemd/network`)).toEqual([]);
  scene.programs = [];
  await changeSettings(scene, (now) => ({ ...now, zone: 'Etc/UTC', ntp: [] }));
  expect(scene.programs.filter((line) => /networkctl|try-restart/.test(line))).toEqual(['systemctl try-restart systemd-timesyncd.service']);
});

test('consoles that were opened without a password end when there is one', async () => {
  const restarted = () => scene.programs.filter((line) => line.includes('rsio-console@'));
  await setPassword(scene, 'correct horse');
  expect(restarted()).toEqual(['tty1', 'ttyS0'].map((tty) => `systemctl try-restart --no-block rsio-console@${tty}.service`));
  expect(scene.programs.join('\n')).not.toContain('horse');
  expect((await readSettings(scene.root)).passwordHash).toBe('$6$salt$hashhashhash');
  scene.programs = [];
  await setPassword(scene, '');
  expect(restarted()).toEqual([]);
});

test('settings that are wrong or cannot be made effective change nothing', async () => {
  await writeSettings(scene.root, SETTINGS);
  const wrong: readonly Partial<Settings>[] = [
    { hostname: 'a\nb' },
    { interfaces: [{ mac: '../x', addresses: [], gateway: null }] },
    { interfaces: [{ mac: '52:54:00:00:00:06', addresses: ['1.2.3.4'], gateway: null }] },
    { interfaces: [{ mac: '52:54:00:00:00:06', addresses: ['[fd00::9]/64'], gateway: null }] },
    { interfaces: [{ mac: '52:54:00:00:00:06', addresses: ['1.2.3.4/33'], gateway: null }] },
    { interfaces: [{ mac: '52:54:00:00:00:06', addresses: [], gateway: '1.2.3.4' }] },
    { interfaces: [{ mac: '52:54:00:00:00:06', addresses: ['192.168.45.10/24', 'fd00::9/64'], gateway: '192.168.46.1' }] },
    { dns: ['[fd00::1]'] },
    { zone: '../../etc/passwd' },
    { passwordHash: '' },
    { pools: [...SETTINGS.pools, ...SETTINGS.pools] },
  ];
  for (const one of wrong)
    await expect(changeSettings(scene, (now) => ({ ...now, ...one }))).rejects.toThrow('The settings were not changed');
  mkdirSync(`${scene.root}/usr/share/zoneinfo/Europe`, { recursive: true });
  writeFileSync(`${scene.root}/usr/share/zoneinfo/leapseconds`, '#');
  writeFileSync(`${scene.root}/usr/share/zoneinfo/Europe/Oslo`, 'TZif2');
  for (const zone of ['Europe', 'leapseconds', 'Europe/Osl', '../x'])
    await expect(setTime(scene, zone, [])).rejects.toThrow('No time zone');
  await setTime(scene, SETTINGS.zone, SETTINGS.ntp);
  await changeSettings(scene, (now) => ({
    ...now,
    interfaces: now.interfaces.map((one) => ({ ...one, addresses: ['fd00::9/64'], gateway: 'fe80::1' })),
  }));
  await writeSettings(scene.root, SETTINGS);
  scene.failing = 'hostname venus';
  scene.programs = [];
  await expect(changeSettings(scene, (now) => ({ ...now, hostname: 'venus' }))).rejects.toThrow('hostname failed');
  expect(scene.programs[0]).toMatch(/^usermod/);
  expect(await readSettings(scene.root)).toEqual(SETTINGS);
  expect(readFileSync(`${scene.root}/etc/hostname`, 'utf8')).toBe('big-9\n');
  const second = exclusively(scene, 'settings', () => changeSettings(scene, (now) => now));
  await expect(second).rejects.toThrow('Another command changes the appliance');
});

test('a configuration is saved and restored as one file, also after a power cut between its steps', async () => {
  await writeSettings(scene.root, SETTINGS);
  writeFileSync(`${scene.root}/config/dvsc/rssrvcfg`, SERVER_FILE_HEAD);
  const saved = await presentConfig(scene.root);
  await writeSettings(scene.root, FIRST_SETTINGS);
  writeFileSync(`${scene.root}/config/dvsc/rssrvcfg`, '# other\n');
  writeFileSync(`${scene.root}/config/dvsc/stray`, 'x');
  for (const [text, why] of [
    ['x', 'it is not JSON'],
    [saved.replace('big-9', 'big-8'), 'its checksum is wrong'],
    [saved.replace('"kind"', '"sort"'), 'kind is missing'],
  ] as const) {
    writeFileSync(`${scene.root}/file`, text);
    await expect(acceptConfig(scene.root, `${scene.root}/file`)).rejects.toThrow(why);
  }
  expect(existsSync(appliancePaths(scene.root).restored)).toBe(false);
  writeFileSync(`${scene.root}/file`, saved);
  await acceptConfig(scene.root, `${scene.root}/file`);
  expect(await readSettings(scene.root)).toEqual(FIRST_SETTINGS);
  // The power fails after the first step.
  await writeSettings(scene.root, SETTINGS);
  await finishRestore(scene.root);
  expect(readFileSync(`${scene.root}/config/dvsc/rssrvcfg`, 'utf8')).toBe(SERVER_FILE_HEAD);
  expect(readdirSync(`${scene.root}/config/dvsc`)).toEqual(['rssrvcfg']);
  expect(await presentConfig(scene.root)).toBe(saved);
  expect(existsSync(appliancePaths(scene.root).restored)).toBe(false);
});

test('a key of the SSH server that a power cut has left empty is not saved, and is made again', async () => {
  await changeSettings(scene, () => SETTINGS);
  const { hostKey } = appliancePaths(scene.root);
  for (const left of ['', '-----BEGIN']) {
    writeFileSync(hostKey, left);
    expect(savedContent('saved.json', await presentConfig(scene.root)).hostKey).toBe(null);
    await applySettings(scene, true);
    expect(savedContent('saved.json', await presentConfig(scene.root)).hostKey).toBe(HOST_KEY);
  }
});

test('what could not be restored is neither saved nor accepted, and what a later release has added is restored', async () => {
  const rssrvcfg = '[server big-9]\nserverid = many\n';
  const wrong = savedText({ settings: SETTINGS, server: { rssrvcfg }, hostKey: null });
  expect(() => savedContent('saved.json', wrong)).toThrow(/^saved\.json is not a usable configuration: rssrvcfg:\d+: /);
  for (const [name, content, why] of [
    ['rssrvcfg', rssrvcfg, 'rssrvcfg:'],
    ['rssrvcfg~', '', 'the name of file "rssrvcfg~" is not allowed'],
    ['secret', Buffer.from([0xff]), 'secret is no text'],
    ['big', 'x'.repeat(8 * 1024 * 1024), 'they have more than'],
  ] as const) {
    writeFileSync(`${scene.root}/config/dvsc/${name}`, content);
    await expect(presentConfig(scene.root)).rejects.toThrow(`cannot be saved: ${why}`);
    rmSync(`${scene.root}/config/dvsc/${name}`);
  }
  const later = { ...SETTINGS, colour: 'red' };
  expect(savedContent('saved.json', savedText({ settings: later, server: {}, hostKey: null })).settings).toEqual(later);
});

test('a restored configuration that the disk does not take is completed at a later boot', async () => {
  await writeSettings(scene.root, FIRST_SETTINGS);
  writeFileSync(`${scene.root}/file`, savedText({ settings: SETTINGS, server: { extra: 'x' }, hostKey: null }));
  await acceptConfig(scene.root, `${scene.root}/file`);
  mkdirSync(`${scene.root}/config/dvsc/extra/full`, { recursive: true });
  await applySettings(scene, true);
  expect(existsSync(appliancePaths(scene.root).restored)).toBe(true);
  rmSync(`${scene.root}/config/dvsc/extra`, { recursive: true });
  await applySettings(scene, true);
  expect(readdirSync(`${scene.root}/config/dvsc`)).toEqual(['extra']);
  expect(existsSync(appliancePaths(scene.root).restored)).toBe(false);
});
