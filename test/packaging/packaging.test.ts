// The files in packaging/ name only programs, options, files and pages that exist, and systemd and logrotate accept them. The test changes
// only a temporary folder.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DaemonProgram, daemonPaths } from '@rsio/common/config/root-paths';
import { DROP_IN } from '@rsio/rssrv/farm/rights';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { launcher, needTool, run, runWell } from '../support/programs/programs.ts';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const DAEMONS: readonly DaemonProgram[] = ['rssrv', 'rsiod'];

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-p-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function packaged(name: string): string {
  return readFileSync(path.join(PROJECT, 'packaging', name), 'utf8');
}

function values(unit: string, key: string): string[] {
  return [...packaged(unit).matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

it.each(DAEMONS)('%s.service starts the program, and names existing files and pages', async (program) => {
  const unit = `${program}.service`;
  const { pidFile, configFile } = daemonPaths('/', program);
  expect(values(unit, 'PIDFile')).toEqual([pidFile]);
  expect(values(unit, 'ConditionPathExists')).toEqual([configFile]);
  const [commandLine = ''] = values(unit, 'ExecStart');
  const [command = '', ...options] = commandLine.split(' ');
  expect(path.basename(command)).toBe(program);
  const help = await runWell(launcher(program), ['--help']);
  for (const option of options) expect(help).toContain(option);
  const pages = [...(values(unit, 'Documentation')[0] ?? '').matchAll(/man:(\w+)\((\d)\)/g)].map(
    ([, name, section]) => `${name}.${section}`,
  );
  expect(pages).toContain(`${program}.8`);
  expect(pages.filter((page) => !existsSync(path.join(PROJECT, 'docs/man', `${page}.md`)))).toEqual([]);
});

it('systemd never cuts off a mounted volume: it refuses restart and stop, and lack of memory ends one process only', () => {
  // The unit has RefuseManualStop, because a restart by systemd runs ExecStop and then kills the remaining processes, whatever the exit
  // code of ExecStop is.
  expect(values('rsiod.service', 'RefuseManualStop')).toEqual(['yes']);
  for (const program of DAEMONS) expect(values(`${program}.service`, 'OOMPolicy')).toEqual(['continue']);
  expect(values('rsiod.service', 'KillMode')).toEqual(['mixed']);
});

it('on a machine with both, the server starts before the client and ends after it, and waits for no file system on its volumes', () => {
  const [after, before]: [string, string] = [values('rssrv.service', 'After').join(' '), values('rssrv.service', 'Before').join(' ')];
  expect(before.split(' ')).toContain('rsiod.service');
  expect(values('rsiod.service', 'Before').join(' ').split(' ')).toContain('remote-fs-pre.target');
  expect(after.split(' ').filter((unit) => unit.startsWith('remote-fs'))).toEqual([]);
});

it.for(DAEMONS)('systemd understands %s.service', async (program, context) => {
  needTool(context, 'systemd-analyze', 'systemd');
  const file = path.join(folder, `${program}.service`);
  // The test checks the unit and not this machine, so it replaces programs in the unit by programs that exist here.
  const inPlace = (_: string, key: string, name: string): string => `${key}=${launcher(name)}`;
  writeFileSync(file, packaged(`${program}.service`).replaceAll(/^(Exec(?:Start|Stop))=\S*\/(\w+)/gm, inPlace));
  const { code, stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', file]);
  const about = `${stdout}${stderr}`.split('\n').filter((line) => line.includes(`${program}.service`));
  expect({ code, about }).toEqual({ code: 0, about: [] });
});

it.for(['rsio-backup', 'rsio-backup-verify'])(
  'systemd-analyze accepts %s@.service, which fails and skips nothing',
  async (unit, context) => {
    needTool(context, 'systemd-analyze', 'systemd');
    const units = path.join(folder, `units-${unit}`);
    mkdirSync(units);
    const service = packaged(`${unit}@.service`);
    writeFileSync(path.join(units, `${unit}@.service`), service.replace(/^ExecStart=\S*\/rsconfig/m, `ExecStart=${launcher('rsconfig')}`));
    writeFileSync(path.join(units, `${unit}@.timer`), packaged(`${unit}@.timer`));
    const { code, stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', path.join(units, `${unit}@db.timer`)]);
    const about = `${stdout}${stderr}`.split('\n').filter((line) => line.includes(unit));
    expect({ code, about }).toEqual({ code: 0, about: [] });
    // A leading minus or a condition would hide a missing file.
    expect(service).not.toMatch(/^(Condition|Exec\w+=-|EnvironmentFile=-|SuccessExitStatus)/m);
    const [, command = ''] = /^ExecStart=\/usr\/sbin\/rsconfig (\S+)/m.exec(service) ?? [];
    expect((await run(launcher('rsconfig'), [command, '--help'])).code).toBe(0);
  },
);

/** For each daemon: highest permitted result of `systemd-analyze security`, in tenths. packaging/README.md says why it cannot be lower. */
const EXPOSURE: Readonly<Record<DaemonProgram, number>> = { rssrv: 33, rsiod: 54 };

it.for(DAEMONS)('%s.service is no more exposed than the documentation says', async (program, context) => {
  needTool(context, 'systemd-analyze', 'systemd');
  const file = path.join(PROJECT, 'packaging', `${program}.service`);
  const { code, stdout } = await run('systemd-analyze', [
    'security',
    '--offline=true',
    `--threshold=${EXPOSURE[program]}`,
    '--no-pager',
    file,
  ]);
  expect(code, stdout).toBe(0);
  expect(packaged('README.md')).toContain(`| ${program} | ${EXPOSURE[program] / 10} |`);
});

it.for(['verify', 'security'])('systemd-analyze %s accepts rssrv.service with the addition for farms', async (what, context) => {
  needTool(context, 'systemd-analyze', 'systemd');
  const units = path.join(folder, 'etc/systemd/system');
  mkdirSync(path.join(units, 'rssrv.service.d'), { recursive: true });
  writeFileSync(path.join(units, 'rssrv.service'), packaged('rssrv.service').replace(/^ExecStart=.*$/m, `ExecStart=${launcher('rssrv')}`));
  writeFileSync(path.join(units, 'rssrv.service.d/farm.conf'), packaged('rssrv-farm.conf'));
  const security = ['security', '--offline=true', `--root=${folder}`, '--threshold=40', '--no-pager', 'rssrv.service'];
  const args = what === 'verify' ? ['verify', '--man=no', path.join(units, 'rssrv.service')] : security;
  const { code, stdout, stderr } = await run('systemd-analyze', args);
  const about = `${stdout}${stderr}`.split('\n').filter((line) => /(rssrv\.service|farm\.conf):/.test(line) && !line.includes('Overall'));
  expect({ code, about }).toEqual({ code: 0, about: [] });
  // The drop-in extends the lists of the unit and resets none of them.
  if (what === 'security') expect(stdout).toMatch(/special devices:(?=.*block-\*:rw)(?=.*\/dev\/loop-control:rw)(?=.*\/dev\/fuse:rw)/);
  expect(packaged('README.md')).toContain('| rssrv with rssrv-farm.conf | 4.0 |');
});

it('the addition for farms says how it is enabled, lies where errors of rssrv say, and leaves the mounts to the service', () => {
  const text = packaged('rssrv-farm.conf');
  const contents = readFileSync(path.join(PROJECT, 'scripts/packages/contents.mjs'), 'utf8');
  expect(contents).toContain(`'packaging/rssrv-farm.conf': '${DROP_IN.slice(1)}'`);
  expect(text).toContain(`install -D -m 644 ${DROP_IN} /etc/systemd/system/rssrv.service.d/farm.conf\n`);
  expect(values('rssrv-farm.conf', 'CapabilityBoundingSet')).toEqual(['CAP_SYS_ADMIN', 'CAP_SYS_RAWIO']);
  expect(values('rssrv-farm.conf', 'DeviceAllow')).toEqual(['/dev/loop-control rw', '/dev/fuse rw']);
  // While the file systems are mounted, no other process of the service may get a signal.
  expect([values('rssrv.service', 'KillMode'), values('rssrv.service', 'PrivateMounts')]).toEqual([['mixed'], ['yes']]);
  expect(text).not.toMatch(/^(KillMode|PrivateMounts|MountFlags)=/m);
});

it('systemd-analyze accepts rsiod.service with the addition for AoE, which adds packet sockets and nothing else', async (context) => {
  needTool(context, 'systemd-analyze', 'systemd');
  const units = path.join(folder, 'etc/systemd/system');
  mkdirSync(path.join(units, 'rsiod.service.d'), { recursive: true });
  writeFileSync(path.join(units, 'rsiod.service'), packaged('rsiod.service').replace(/^ExecStart=.*$/m, `ExecStart=${launcher('rsiod')}`));
  writeFileSync(path.join(units, 'rsiod.service.d/aoe.conf'), packaged('rsiod-aoe.conf'));
  const args = ['security', '--offline=true', `--root=${folder}`, '--threshold=60', '--no-pager', 'rsiod.service'];
  const { code, stdout, stderr } = await run('systemd-analyze', args);
  expect({ code, about: `${stdout}${stderr}`.split('\n').filter((line) => /aoe\.conf:/.test(line)) }).toEqual({ code: 0, about: [] });
  const [, exposure = ''] = /Overall exposure level for rsiod\.service: (\S+)/.exec(stdout) ?? [];
  expect(packaged('README.md')).toContain(`| rsiod with rsiod-aoe.conf | ${exposure} |`);
  expect([values('rsiod-aoe.conf', 'CapabilityBoundingSet'), values('rsiod-aoe.conf', 'RestrictAddressFamilies')]).toEqual([
    ['CAP_NET_RAW'],
    ['AF_PACKET'],
  ]);
  expect(packaged('rsiod-aoe.conf')).toContain(
    'install -D -m 644 /usr/share/rsio/rsiod-aoe.conf /etc/systemd/system/rsiod.service.d/aoe.conf\n',
  );
});

it('no unit gives a daemon a private /tmp, which systemd removes with the volumes in it', () => {
  for (const program of DAEMONS) expect(packaged(`${program}.service`)).not.toMatch(/^(PrivateTmp|DynamicUser|RemoveIPC)=/m);
  // A mount namespace would hide the devices and mounts of rsiod from the machine.
  expect(packaged('rsiod.service')).not.toMatch(/^(Protect(?!Proc)\w+|Private\w+|MountFlags|ReadOnlyPaths)=/m);
});

it.each(DAEMONS)('logrotate rotates the log that %s writes, and signals it', (program) => {
  const text = packaged(`${program}.logrotate`);
  const [, files = ''] = /^(\/.*) \{$/m.exec(text) ?? [];
  expect(files).toBe(daemonPaths('/', program).logFile);
  expect(text).toContain(daemonPaths('/', program).pidFile);
});

it.for(DAEMONS)('logrotate accepts the file of %s', async (program, context) => {
  needTool(context, 'logrotate', 'logrotate');
  const file = path.join(folder, 'rsio');
  writeFileSync(file, packaged(`${program}.logrotate`), { mode: 0o644 });
  const { code, stderr } = await run('logrotate', ['--debug', '--state', path.join(folder, 'state'), file]);
  expect({ code, errors: stderr.split('\n').filter((line) => line.startsWith('error')) }).toEqual({ code: 0, errors: [] });
});

it('the rotation script signals only a process that is the daemon', async (context) => {
  needTool(context, 'bash', 'bash');
  const scripts = DAEMONS.map((program) => /postrotate\n([^]*?) +endscript/.exec(packaged(`${program}.logrotate`))?.[1] ?? '');
  const runDir = path.join(folder, 'run');
  for (const program of DAEMONS) mkdirSync(path.join(runDir, program), { recursive: true });
  const lines = [
    `bash -c 'exec -a rssrv sleep 30' & daemon=$!`,
    `bash -c 'exec -a stranger sleep 30' & stranger=$!`,
    `echo $daemon > ${runDir}/rssrv/pid; echo $stranger > ${runDir}/rsiod/pid`,
    ...scripts.map((script) => `(${script.replaceAll('/run/rsio', runDir)})`),
    'wait $daemon; kill -KILL $stranger && echo stranger lives',
  ];
  const { stdout } = await run('bash', ['-c', lines.join('\n')]);
  expect(stdout).toBe('stranger lives\n');
});

// Regression: the unprivileged user of rsweb writes the pid file, and root once sent a signal to the pid in this file without a check.
it.each(['rsweb.logrotate', 'deb/rsio-web/prerm'])('%s signals no process of another user than that of the pid file', async (name) => {
  const text = packaged(name);
  const script = /postrotate\n([^]*?) +endscript/.exec(text)?.[1] ?? text.slice(text.indexOf('  file='), text.lastIndexOf('fi'));
  const file = path.join(folder, 'pid');
  const mine = process.getuid?.() ?? 0;
  const after = async (written: string, owner: number): Promise<string> => {
    const fakes = `stat() { if [ "$3" = ${file} ]; then echo ${owner}; else command stat "$@"; fi; }`;
    const lines = [
      `bash -c 'exec -a rsweb sleep 30' & daemon=$!; until grep -qs rsweb /proc/$daemon/cmdline; do sleep 0.01; done`,
      `echo ${written} > ${file}; ${fakes}; (${script.replaceAll('/run/rsio/rsweb/pid', file)}); kill -KILL $daemon; wait $daemon; echo $?`,
    ];
    return (await run('bash', ['-c', lines.join('\n')])).stdout.trim();
  };
  const [killed, signalled] = ['137', name.endsWith('prerm') ? '143' : '129'];
  expect([await after('$daemon', mine), await after('$daemon', mine + 1)]).toEqual([signalled, killed]);
  for (const written of ['', '-1', '1/../self', '$daemon/../$daemon']) expect(await after(`"${written}"`, mine), written).toBe(killed);
});

it.for(['rsweb'])('%s.service runs without rights, and systemd understands it', async (program, context) => {
  needTool(context, 'systemd-analyze', 'systemd');
  const unit = packaged(`${program}.service`);
  expect(unit).toMatch(/^User=rsio-web$/m);
  expect(unit).toMatch(/^CapabilityBoundingSet=$/m);
  expect(packaged('rsweb.sysusers')).toMatch(/^u rsio-web /m);
  const file = path.join(folder, `${program}.service`);
  // Programs and users in the unit are replaced by those that exist here, because the test checks the unit and not this machine.
  const inPlace = (_: string, key: string, name: string): string => `${key}=${launcher(name)}`;
  writeFileSync(file, unit.replaceAll(/^(Exec(?:Start|Stop))=\S*\/(\w+)/gm, inPlace).replaceAll('rsio-web', 'root'));
  const { code, stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', file]);
  const about = `${stdout}${stderr}`.split('\n').filter((line) => line.includes(`${program}.service`));
  expect({ code, about }).toEqual({ code: 0, about: [] });
  const security = await run('systemd-analyze', ['security', '--offline=true', '--threshold=14', '--no-pager', file]);
  expect(packaged('README.md')).toContain(`| ${program} | 1.4 |`);
  expect(security.stdout).toContain('rsweb.service');
});
