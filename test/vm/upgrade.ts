// Upgrades of the packages under a verified load, actions of systemd on the services, crashes, and the removal of the packages. Invariant:
// a chapter depends only on the success of earlier steps, and not on the outcome of earlier checks.

import { beginLoad, endLoad } from './load.ts';
import { diskErrors, type Scene, until } from './scene.ts';
import { seconds } from '../support/drills/table.ts';

const CONNECTED = until('rsconfig -m status | grep -c "connected tx: ok" | grep -qx 2');

async function underLoad({ client, report }: Scene, what: string, play: () => Promise<string>): Promise<void> {
  await beginLoad(client);
  let said = '';
  try {
    said = await play();
    await client.run(`${CONNECTED}; sleep 15`);
  } finally {
    const { error, writes, reads, longestMs, output } = await endLoad(client);
    const figures = `${writes} writes, ${reads} verified, longest I/O ${seconds(longestMs)}`;
    report.check(`${what}: fio sees no error`, error === 0 && writes > 0, error === 0 ? `${figures}${said}` : output);
    const errors = await diskErrors(client, '0');
    report.check('and none in the log of the kernel', errors === '', errors.slice(0, 600));
  }
}

export async function upgraded(scene: Scene): Promise<void> {
  const { server, client, report, after } = scene;
  await underLoad(scene, 'upgrade of rsio-server', async () => {
    const before = await server.run('systemctl show rssrv -p MainPID --value');
    await server.run(`apt-get install --yes ${after}/rsio-common_*.deb ${after}/rsio-server_*.deb`);
    const now = await server.run(`${until('rsadm status >/dev/null')}; systemctl show rssrv -p MainPID --value`);
    report.check('rssrv was restarted', now !== before, await server.run('rssrv --version'));
    return '';
  });
  await underLoad(scene, 'upgrade of rsio-client', async () => {
    const child = 'rsconfig status --json 2>/dev/null | grep -o "\\"pid\\": [0-9]*"; pgrep -f "node.*rsiod" | sort | tail -1';
    const [before, keeper] = [await client.run(child), await client.run('systemctl show rsiod -p MainPID --value')];
    await client.run(`apt-get install --yes ${after}/rsio-common_*.deb ${after}/rsio-client_*.deb`);
    const [now, still] = [await client.run(child), await client.run('systemctl show rsiod -p MainPID --value')];
    report.check(
      'rsiod has another process under the same keeper',
      now !== before && still === keeper,
      await client.run('rsiod --version'),
    );
    return '';
  });
  const status = await server.run('rsadm status | head -4');
  report.check('the server says which release it is', status.includes(await server.run("rssrv --version | grep -oE '[0-9.]+$'")), status);
}

export async function commanded(scene: Scene): Promise<void> {
  const { server, client, report } = scene;
  for (const verb of ['stop', 'restart']) {
    const { code, text } = await client.try(`systemctl ${verb} rsiod`);
    report.check(`systemctl ${verb} rsiod is refused`, code !== 0 && text.includes('refused'), text.split('\n')[0]);
  }
  const refused = await client.try('rsconfig stop');
  report.check('rsconfig stop names what uses the volume', refused.code !== 0 && refused.text.includes('/data'), refused.text.trim());
  for (const [machine, unit] of [
    [server, 'rssrv'],
    [client, 'rsiod'],
  ] as const) {
    const { code, text } = await machine.try(`systemctl reload ${unit} && systemctl is-active ${unit}`);
    report.check(`systemctl reload ${unit}`, code === 0, text.trim());
  }
}

export async function crashed(scene: Scene): Promise<void> {
  const { server, client, report } = scene;
  await underLoad(scene, 'kill -9 of the process of rsiod', async () => {
    const keeper = await client.run('systemctl show rsiod -p MainPID --value');
    await client.run(`kill -9 $(pgrep -P ${keeper} -f node | head -1); sleep 5`);
    return `, keeper ${keeper} stays: ${(await client.run('systemctl show rsiod -p MainPID --value')) === keeper}`;
  });
  await underLoad(scene, 'kill -9 of rssrv', async () => {
    const main = await server.run('systemctl show rssrv -p MainPID --value');
    await server.run(
      `kill -9 ${main}; ${until(`systemctl is-active --quiet rssrv && [ $(systemctl show rssrv -p MainPID --value) != ${main} ]`)}`,
    );
    return `, systemd restarted it ${await server.run('systemctl show rssrv -p NRestarts --value')} times`;
  });
  // The file system can no longer be used, as README.md says. The next rsiod cleans up and attaches the volume.
  await client.run('umount /data; kill -9 $(systemctl show rsiod -p MainPID --value)');
  await client.run(until('rsconfig -lvv 2>/dev/null | grep -q "b: /dev/av0/db"'));
  report.check('kill -9 of the keeper: systemd starts rsiod again', true, await client.run('systemctl show rsiod -p NRestarts -p Result'));
  await client.run(`${until('systemctl start data.mount', 60)}; mountpoint /data`);
  report.check('and the file system can be mounted again', true);
}

export async function removed({ server, client, report }: Scene): Promise<void> {
  const inUse = await client.try('apt-get remove --yes rsio-client');
  const isThere = (await client.try('mountpoint -q /data && systemctl is-active --quiet rsiod')).code === 0;
  report.check(
    'apt remove rsio-client is refused while /data is mounted',
    inUse.code !== 0 && isThere,
    inUse.text.split('\n').find((line) => line.includes('Not removed')),
  );
  const held = await server.try('apt-get remove --yes rsio-server');
  report.check(
    'apt remove rsio-server is refused while a client has the volume',
    held.code !== 0,
    held.text.split('\n').find((line) => line.includes('Not removed')),
  );
  await client.run("umount /data && sed -i '/av0/d' /etc/fstab && systemctl daemon-reload && apt-get remove --yes rsio-client");
  const kept = await client.run('ls /etc/rscltcfg && ! command -v rsiod && ! pgrep -f keeper.pl');
  report.check('removed from the client: the daemon has ended, the configuration stays', kept.includes('/etc/rscltcfg'));
  await client.run('apt-get purge --yes rsio-client');
  const left = await client.try(
    'ls -d /etc/rscltcfg /var/lib/rsio /var/log/rsio /dev/av0 /usr/lib/rsio /etc/systemd/system/*/rsiod.service 2>/dev/null',
  );
  report.check('purged from the client: nothing is left', left.text.trim() === '', left.text.trim());
  await server.run('apt-get purge --yes rsio-server');
  const onServer = await server.try(
    'ls -d /etc/dvsc /var/lib/rsio /var/log/rsio /usr/lib/rsio /etc/systemd/system/*/rssrv.service 2>/dev/null',
  );
  report.check('purged from the server: nothing is left but the pool', onServer.text.trim() === '', onServer.text.trim());
  const pool = await server.run('ls /storage/fast/volumes/*/data');
  report.check('the volume is still in its pool', pool.includes('/data'), pool);
}
