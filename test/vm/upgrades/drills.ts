// The drills of npm run drill -- upgrades: each package under a verified load, a machine with server and client, a client whose devices would not
// outlive a restart, and each order of the packages. Invariant: a load runs during each upgrade, and must see no error.

import { beginLoad, endLoad } from '../load.ts';
import type { Guest } from '../machine.ts';
import { seconds } from '../../support/drills/table.ts';
import { until } from '../scene.ts';
import { install, type UpgradeScene, versionOf, worker } from './scene.ts';

async function underLoad({ report }: UpgradeScene, machine: Guest, what: string, play: () => Promise<void>): Promise<void> {
  await beginLoad(machine);
  try {
    await play();
    await machine.run('sleep 8');
  } finally {
    const { error, writes, reads, longestMs, output } = await endLoad(machine);
    const figures = `${writes} writes, ${reads} verified, longest I/O ${seconds(longestMs)}`;
    report.check(`${what}: the writer sees no error`, error === 0 && writes > 0, error === 0 ? figures : output);
  }
}

export async function serverUpgraded(scene: UpgradeScene): Promise<void> {
  const { server, client, report, after } = scene;
  await underLoad(scene, client, 'upgrade of the server', async () => {
    const before = await server.run('systemctl show rssrv -p MainPID --value');
    await install(server, after, 'common', 'server');
    const now = await server.run(`${until('rsadm status > /dev/null', 60)}; systemctl show rssrv -p MainPID --value`);
    report.check('rssrv was restarted', now !== before, await server.run('rssrv --version'));
  });
}

export async function clientUpgraded(scene: UpgradeScene): Promise<void> {
  const { client, report, after } = scene;
  await underLoad(scene, client, 'upgrade of the client', async () => {
    const [before, keeper] = [await worker(client), await client.run('head -n 1 /run/rsio/rsiod/pid')];
    await install(client, after, 'common', 'client');
    const same = (await client.run('head -n 1 /run/rsio/rsiod/pid')) === keeper;
    report.check('rsiod has another process under the same keeper', same && (await worker(client)) !== before);
  });
}

/** Lets the keeper take devices, or refuse them, because it gets no descriptor. */
async function keeperTakes(machine: Guest, takes: boolean): Promise<void> {
  await machine.run(`prlimit --pid "$(head -n 1 /run/rsio/rsiod/pid)" --nofile=${takes ? 1024 : 3}:`);
}

/** Attaches the volume of a machine anew while its keeper refuses devices, and mounts it. */
async function attachedWithoutKeeper(machine: Guest): Promise<void> {
  const volume = `v-${machine.name}`;
  await keeperTakes(machine, false);
  await machine.run(`umount /data; rsconfig -d ${volume} && rsconfig -a ${volume} && mount /dev/av0/${volume} /data`);
}

export async function refusedUpgrades(scene: UpgradeScene): Promise<void> {
  const { refused, report } = scene;
  const upgrade = async (folder: string, said: RegExp): Promise<void> => {
    const before = await worker(refused);
    const text = await install(refused, folder, 'common', 'client');
    report.check(
      'apt says that rsiod goes on, and what to do',
      said.test(text),
      text
        .split('\n')
        .filter((line) => /rsiod goes on|E_IN_USE/.test(line))
        .join('\n'),
    );
    report.check(
      'the old process goes on, and the package is configured',
      (await worker(refused)) === before,
      await versionOf(refused, 'client'),
    );
  };
  await attachedWithoutKeeper(refused);
  await underLoad(scene, refused, 'upgrade of the last release, whose keeper has no device', () =>
    upgrade(scene.after, /umount the file systems on them, then run rsconfig restart/),
  );
  await keeperTakes(refused, true);
  await refused.run(`umount /data; rsconfig -d v-${refused.name}; rsconfig restart; rsconfig -a v-${refused.name}`);
  await refused.run(`mount /dev/av0/v-${refused.name} /data`);
  await attachedWithoutKeeper(refused);
  await underLoad(scene, refused, 'upgrade of this release, whose keeper has no device', async () => {
    await upgrade(scene.later, /is in use by mount point \/data, .*a restart would cut it off/);
    await keeperTakes(refused, true);
    const before = await worker(refused);
    await refused.run('rsconfig restart');
    report.check('with a keeper that takes the device, rsconfig restart replaces the process', (await worker(refused)) !== before);
  });
}

export async function bothUpgraded(scene: UpgradeScene): Promise<void> {
  const { both, report, after, later } = scene;
  // A client that needs rsio-common of its own version is upgraded together with it. Otherwise, apt would remove the client.
  const isTied = (await both.run("dpkg-query -W -f '${Depends}' rsio-client")).includes('rsio-common (=');
  if (isTied)
    await underLoad(scene, both, 'server and client on one machine, at once', async () => {
      const before = await worker(both);
      await install(both, after, 'common', 'server', 'client');
      report.check(
        'the upgrade of all replaces the process of the client',
        (await worker(both)) !== before,
        await versionOf(both, 'client'),
      );
    });
  const next = isTied ? later : after;
  const old = await versionOf(both, 'client');
  await underLoad(scene, both, 'server and client on one machine', async () => {
    const before = await worker(both);
    await install(both, next, 'common', 'server');
    const isThere = (await versionOf(both, 'client')) === old && (await worker(both)) === before;
    report.check('the upgrade of common and server leaves the client as it is', isThere, await versionOf(both, 'server'));
    await install(both, next, 'common', 'client');
    report.check('the upgrade of the client replaces its process', (await worker(both)) !== before, await versionOf(both, 'client'));
  });
  report.check('crsio is there', (await both.try('crsio --version')).code === 0);
}

type Order = readonly (readonly string[])[];

/** The orders for apt, as in README.md: each product with what belongs beside it. */
const PAIRS: readonly Order[] = [
  [
    ['common', 'server'],
    ['common', 'client'],
  ],
  [
    ['common', 'client'],
    ['common', 'server'],
  ],
];

/** Orders of the packages for dpkg, each as the runs of the command: together, and one by one. */
function orders(): Order[] {
  const names = ['common', 'server', 'client'];
  const all = names.flatMap((one) => names.flatMap((two) => names.map((three) => [one, two, three])));
  const each = all.filter((order) => new Set(order).size === names.length);
  return [[names], [names.toReversed()], ...each.map((order) => order.map((name) => [name]))];
}

/**
 * Each order begins with the last release, in a copy of the machine's root, in which no systemd and no daemon runs. Nothing is compiled there,
 * because that would take longer than everything else.
 */
export async function eachOrder({ both, report, after }: UpgradeScene): Promise<void> {
  const old = await versionOf(both, 'client');
  const expected = (await both.run(`dpkg-deb -f ${after}/rsio-common_*.deb Version`)).trim();
  const begin =
    'o=/run/order; mkdir -p $o; mount -t tmpfs order $o; mkdir $o/up $o/work $o/all; mount -t overlay -o lowerdir=/,upperdir=$o/up,workdir=$o/work overlay $o/all; mkdir -p $o/all/share; mount --bind /share $o/all/share; ln -sf /bin/true $o/all/usr/bin/node; mount -t proc proc $o/all/proc; mount --rbind /dev $o/all/dev; mount --make-rslave $o/all/dev';
  const end = 'umount -l $o/all/dev $o/all/proc $o/all/share; umount -l $o/all; umount -l $o';
  const tools: readonly (readonly [string, readonly Order[]])[] = [
    ['apt-get install --yes', PAIRS],
    ['dpkg -i', orders()],
  ];
  for (const [tool, all] of tools)
    for (const order of all) {
      const runs = order.map((names) => `${tool} ${names.map((name) => `${after}/rsio-${name}_*.deb`).join(' ')}`);
      const query = "dpkg-query -W -f '${Status} ${Version}\\n' rsio-common rsio-server rsio-client";
      const script = `export DEBIAN_FRONTEND=noninteractive; ${runs.join(' && ')} && ${query} && dpkg --audit`;
      const inside = `chroot $o/all bash -c "$(base64 -d <<< ${Buffer.from(script).toString('base64')})"`;
      const { code, text } = await both.try(`${begin}; ${inside}; c=$?; ${end}; exit $c`);
      const good = text.split('\n').filter((line) => line === `install ok installed ${expected}`).length;
      report.check(
        `${tool} ${order.map((names) => names.join(' ')).join(', then ')}`,
        code === 0 && good === 3,
        code === 0 && good === 3 ? '' : text.slice(-600),
      );
    }
  report.check('the machine itself is as before', (await versionOf(both, 'client')) === old);
}
