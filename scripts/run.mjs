// `node scripts/run.mjs NAME [ARGUMENT...]`: prepares the checkout and runs one program of test/ or bench/ with these arguments; the
// scripts of package.json use it. The programs of a family have one script: `npm run drill -- sites --rounds 3`. Without a name, it prints
// the table of programs.
// Invariant: a compiled program runs in this process, so that it owns signals and the terminal. A program from sources runs in its own
// process, its errors name source lines, and its exit code is passed on; the daemons always run from the build.

import './node-version.mjs';

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.mjs';

const EXIT_USAGE = 2;

/** Scripts of package.json with several programs. */
export const FAMILIES = ['drill', 'measure'];

/** `family`: the script; absent: the program has a script of its own. `run`: `compiled` if speed matters or other programs are measured, `source` if errors should name source lines. */
export const PROGRAMS = {
  start: { run: 'compiled', entry: 'test/demo/main.ts', what: 'the demo: a server and a client on this machine' },
  bench: { run: 'compiled', entry: 'bench/main.ts', what: 'measures server and client beside other servers' },
  sim: { run: 'compiled', entry: 'test/sim/main.ts', what: 'runs seeds of the deterministic simulator' },
  models: { run: 'source', entry: 'test/models/main.ts', what: 'searches the states of small models of the rules' },
  zoo: { run: 'compiled', entry: 'test/sim/zoo/main.ts', what: 'breaks one rule at a time and finds it with the simulator' },
  conformance: { run: 'compiled', entry: 'test/conformance/main.ts', what: 'checks a server against every rule of docs/PROTOCOL.md' },
  fuzz: { run: 'source', entry: 'test/fuzz/main.ts', what: 'sends wrong and hostile input of every kind' },
  gaps: { family: 'measure', run: 'source', entry: 'test/figures/gaps.ts', what: 'measures how long I/O pauses when a path fails' },
  'mirror-gaps': {
    family: 'measure',
    run: 'source',
    entry: 'test/figures/mirrors/main.ts',
    what: 'measures what is noticed when a mirror loses a server',
  },
  middleman: { family: 'drill', run: 'source', entry: 'test/figures/middleman.ts', what: 'changes bytes of one path under verified I/O' },
  restarts: {
    family: 'drill',
    run: 'source',
    entry: 'test/figures/restarts.ts',
    what: 'kills, crashes and replaces a server under verified I/O',
  },
  devices: { family: 'measure', run: 'source', entry: 'test/figures/devices.ts', what: 'measures the devices of a client beside nbdkit' },
  'many-devices': { family: 'drill', run: 'source', entry: 'test/figures/many-devices.ts', what: 'attaches a thousand volumes as devices' },
  'many-volumes': { family: 'drill', run: 'source', entry: 'test/figures/many-volumes.ts', what: 'creates ten thousand volumes in a pool' },
  'power-cuts': {
    family: 'drill',
    run: 'source',
    entry: 'test/figures/power-cuts.ts',
    what: 'cuts the power and kills rssrv at changes of snapshots and moves',
  },
  pools: { family: 'drill', run: 'source', entry: 'test/drill/main.ts', what: 'random I/O, orders and kills; every content is compared' },
  sites: {
    family: 'drill',
    run: 'source',
    entry: 'test/sites/main.ts',
    what: 'replication to another server under faults; every clone is compared',
  },
  'snapshot-holds': {
    family: 'measure',
    run: 'source',
    entry: 'test/figures/snapshot-holds.ts',
    what: 'measures how long writes wait for a snapshot',
  },
  'backup-bytes': {
    family: 'measure',
    run: 'source',
    entry: 'test/figures/backup-bytes.ts',
    what: 'measures what an incremental backup reads and writes',
  },
  'move-latency': {
    family: 'measure',
    run: 'source',
    entry: 'test/figures/move-latency.ts',
    what: 'measures what an application notices of moves',
  },
  postgres: {
    family: 'drill',
    run: 'source',
    entry: 'test/figures/postgres.ts',
    what: 'starts PostgreSQL from clones of a group of snapshots',
  },
  lab: {
    family: 'measure',
    run: 'source',
    entry: 'test/figures/netlab/main.ts',
    what: 'the netlab: faults and throughput of several links',
  },
  'iscsi-suite': {
    family: 'drill',
    run: 'source',
    entry: 'test/figures/iscsi-suite.ts',
    what: 'libiscsi at a gate with a mirror or failing paths behind it',
  },
  'data-centre': {
    family: 'drill',
    run: 'source',
    entry: 'test/data-centre/main.ts',
    what: 'three servers in two namespaces and three clients',
  },
  'web-load': {
    family: 'measure',
    run: 'source',
    entry: 'test/web/load.ts',
    what: 'measures how fast the pages of rsweb load in Chromium',
  },
  'web-screens': {
    family: 'measure',
    run: 'source',
    entry: 'test/web/screens.ts',
    what: 'writes screenshots of the pages of rsweb into docs/screens',
  },
  'vm-boot': { family: 'drill', run: 'source', entry: 'test/vm/main.ts', what: 'the packages under systemd in two virtual machines' },
  upgrades: {
    family: 'drill',
    run: 'source',
    entry: 'test/vm/upgrades/main.ts',
    what: 'upgrades from the last release, under systemd and a writer',
  },
  'vm-lun': {
    family: 'drill',
    run: 'source',
    entry: 'test/vm/lun/main.ts',
    what: 'a farm on a LUN of an iSCSI target in three virtual machines',
  },
  'vm-applications': {
    family: 'drill',
    run: 'source',
    entry: 'test/vm/applications/main.ts',
    what: 'an application that moves, by systemd in virtual machines',
  },
  'vm-appliance': {
    family: 'drill',
    run: 'source',
    entry: 'test/vm/appliance/main.ts',
    what: 'the appliance by its keyboard in a virtual machine',
  },
  farm: { family: 'drill', run: 'source', entry: 'test/farm/main.ts', what: 'a farm on Ceph whose servers fail, under verified load' },
  'csi-image': {
    family: 'drill',
    run: 'source',
    entry: 'test/csi-image/main.ts',
    what: 'the image of the CSI driver, replaced under verified I/O',
  },
  'postgres-mirror': {
    family: 'drill',
    run: 'source',
    entry: 'test/postgres-mirror/main.ts',
    what: 'PostgreSQL on a mirror whose machines fail',
  },
  'postgres-app': {
    family: 'drill',
    run: 'source',
    entry: 'test/postgres-app/main.ts',
    what: 'PostgreSQL as an application whose nodes and services fail',
  },
};

/**
 * Lists the programs of a family; null: all programs.
 * @param {string | null} family
 */
export function usage(family = null) {
  const shown = Object.entries(PROGRAMS).filter(([, one]) => family === null || one.family === family);
  const lines = shown.map(([name, one]) => {
    const place = one.family === undefined || family !== null ? name : `${one.family} ${name}`;
    return `  ${place.padEnd(family === null ? 25 : 17)}${one.what}\n`;
  });
  const call = family === null ? 'node scripts/run.mjs NAME' : ['npm run', family, '-- NAME'].join(' ');
  return `usage: ${call} [ARGUMENT...]\n${lines.join('')}The arguments belong to the program.\n`;
}

/** The compiled file of an entry, in the dist folder of its workspace package. */
export function compiledFile(entry) {
  return entry.replace(/^([^/]+)\//, '$1/dist/').replace(/\.ts$/, '.js');
}

async function runCompiled(entry, args) {
  const path = compiledFile(entry);
  const file = join(ROOT, path);
  if (!existsSync(file)) {
    console.error(`rsio: ${path} is missing from this checkout: run npm run build [E_NOT_BUILT]`);
    process.exit(1);
  }
  process.argv.splice(1, process.argv.length, file, ...args);
  await import(pathToFileURL(file).href);
}

function runSource(entry, args) {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const program = ['--conditions=@rsio/source', '--import', tsx, join(ROOT, entry), ...args];
  const { status } = spawnSync(process.execPath, program, { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}

async function main(words) {
  const family = FAMILIES.find((one) => one === words[0]) ?? null;
  const [name, ...rest] = (family === null ? words : words.slice(1)).filter((word, index) => word !== '--' || index > 0);
  if (name === undefined || name === '--help') return void process.stdout.write(usage(family));
  if (!Object.hasOwn(PROGRAMS, name) || (PROGRAMS[name].family ?? null) !== family) {
    process.stderr.write(`run: Unknown program "${name}": see the list below [E_USAGE]\n${usage(family)}`);
    process.exit(EXIT_USAGE);
  }
  prepare();
  const { run, entry } = PROGRAMS[name];
  // Remove the `--` before the arguments, because pnpm passes it on.
  const args = rest.filter((argument) => argument !== '--');
  if (run === 'compiled') await runCompiled(entry, args);
  else runSource(entry, args);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
