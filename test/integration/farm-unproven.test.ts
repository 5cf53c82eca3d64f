// A fence that cannot be proven: the pool waits, and every view shows this wait, its reason (or the command that shows the reason) and its
// remedy. When the fence succeeds, the pool is served, I/O continues, and no view complains any longer. Rules: F4.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { freePort } from '../support/hosts/loopback.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { FarmScene } from '../support/scenes/farm-scene.ts';
import { startWeb } from '../web/real-web.ts';

const NAMES = ['big-9', 'big-8', 'big-7'];
const TEST_MS = 300_000;
const KNOWN_MS = 30_000;
const BLOCK = Buffer.alloc(4_096, 7);

const hosts = useHosts('file');

/** The output of a host, as one text for each view. */
type Views = Readonly<Record<string, string>>;
type Look = () => Promise<Views>;

/** Returns a function that gets all views of a server. */
async function serverViews(server: Host): Promise<Look> {
  const text = readFileSync(server.rssrvPaths.configFile, 'utf8');
  const [, address = ''] = /^address\s*=\s*(\S+)/m.exec(text) ?? [];
  const metrics = `${address}:${await freePort(address)}`;
  server.writeConfig('rssrv', text.replace(/^(\[server .*\]\n)/m, `$1metrics = ${metrics}\n`));
  await server.rsadmWell('reload');
  const findings = await webFindings(server);
  return async () => {
    const views: Record<string, string> = { findings: await findings(), log: server.log('rssrv') };
    for (const view of ['farm', 'pool list', 'status', 'events']) {
      const { code, stdout, stderr } = await server.rsadm(...view.split(' '));
      views[view] = `${code}\n${stdout}${stderr}`;
    }
    return { ...views, metrics: await (await fetch(`http://${metrics}/metrics`)).text() };
  };
}

async function clientViews(client: Host): Promise<Look> {
  const findings = await webFindings(client);
  return async () => ({
    findings: await findings(),
    log: client.log('rsiod'),
    status: (await client.rsconfig('-m', 'status', '-v')).stdout,
    doctor: (await client.rsconfig('doctor')).stdout,
    events: (await client.rsconfig('events')).stdout,
  });
}

/** Returns a function that gets the findings of this host's rsweb, one on each line. */
async function webFindings(host: Host): Promise<() => Promise<string>> {
  const { url, token } = await startWeb(host);
  return async () => {
    const answer = await fetch(`${url}/picture.json`, { headers: { Authorization: `Bearer ${token}` } });
    const { findings } = (await answer.json()) as { findings: { severity: string; what: string; remedy: string }[] };
    return findings.map(({ severity, what, remedy }) => `${severity}: ${what}: ${remedy}`).join('\n');
  };
}

/** Waits until the views contain the texts of `wanted`, and none of the texts of `gone`. */
async function shows(look: Look, wanted: Views, gone: Views = {}): Promise<Views> {
  let views: Views = {};
  const areShown = async (): Promise<boolean> => {
    views = await look();
    const isGone = Object.entries(gone).every(([view, text]) => !views[view]!.includes(text));
    return isGone && Object.entries(wanted).every(([view, text]) => views[view]!.includes(text));
  };
  await waitFor(areShown, KNOWN_MS, 'All views show it').catch((error: Error) => {
    for (const [view, text] of Object.entries(wanted)) expect(views[view], view).toContain(text);
    for (const [view, text] of Object.entries(gone)) expect(views[view], view).not.toContain(text);
    throw error;
  });
  return views;
}

it('a fence that is not proven shows in every view, and the pool is served when it is', { timeout: TEST_MS }, async (context) => {
  const farm = await FarmScene.onFiles(context, hosts, NAMES, ['fast']);
  const { holder } = farm;
  const owner = await farm.served('fast');
  await owner.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
  await waitFor(async () => (await holder.rsconfig('-q')).stdout.includes('oracle'), KNOWN_MS, 'The client sees the volume');
  await holder.rsconfigWell('-a', 'oracle');
  const io = await NbdIo.open(holder.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => io.close());
  const looks = new Map<Host, Look>([[holder, await clientViews(holder)]]);
  for (const server of farm.servers) if (server !== owner) looks.set(server, await serverViews(server));

  farm.breakFence(true);
  await owner.kill('rssrv');
  const taker = await waitFor(
    () => farm.servers.find((server) => server !== owner && server.log('rssrv').includes('it waits for the fence')),
    KNOWN_MS,
    'A server waits for the fence',
  );
  // A server process may outlive its listener for a moment and still answer, so the write need not wait.
  const written = io.write(0, BLOCK);
  const third = farm.servers.find((server) => server !== owner && server !== taker)!;
  const [dead, next] = [farm.nameOf(owner), farm.nameOf(taker)];
  const said = `is not proven dead: ${farm.fence} failed: its exit code is 1 (the power switch of ${dead} does not answer)`;
  const why = (generation: string): string =>
    `it waits for the fence of ${dead}, generation ${generation}: Server ${dead} ${said}; ` +
    'correct the command of fence =, or run it yourself until it exits with 0';
  const [, generation = ''] = /it waits for the fence of \S+, generation (\d+)/.exec(taker.log('rssrv')) ?? [];
  const reason = why(generation);
  const unserved = `rsio_server_shared_pool_served{pool="fast"} 0`;
  const unfenced = `rsio_server_shared_pool_unfenced_owners{pool="fast"} 1`;
  const fenced = `rsio_server_shared_pool_unfenced_owners{pool="fast"} 0`;
  const atTaker = await shows(looks.get(taker)!, {
    farm: `rsadm: Pool fast: ${reason}`,
    'pool list': `unavailable: ${reason}`,
    status: `Warning: Pool fast cannot be used: ${reason}`,
    events: `pool fast: not here -> unavailable: ${reason}`,
    metrics: unfenced,
    findings: 'error: Pool fast cannot be used: it waits for the fence',
    log: `Pool fast: ${reason}`,
  });
  expect(atTaker['findings']).toContain('correct the command of fence =, or run it yourself until it exits with 0');
  const taking = `server ${next} is taking it, and ${dead} is not fenced yet: see rsadm farm on ${next}`;
  const atThird = await shows(looks.get(third)!, {
    farm: `rsadm: Pool fast: ${taking}`,
    'pool list': `unavailable: ${taking}`,
    status: `Warning: Pool fast cannot be used: ${taking}`,
    metrics: unfenced,
    findings: `error: Pool fast cannot be used`,
  });
  for (const views of [atTaker, atThird]) {
    expect(views['farm']).toMatch(new RegExp(`^1\\n(.*\\n)+fast .* taking, ${dead} is not fenced yet\\n`));
    expect(views['status']).toMatch(/^1\n/);
    expect(views['metrics']).toContain(unserved);
  }
  const waits = `waits for a path to server ${dead}, or for another owner of its pool (rsadm farm on the other owners says what the pool waits for)`;
  await shows(looks.get(holder)!, {
    status: `osl:oracle@0 ${waits}`,
    doctor: `Its I/O ${waits}`,
    events: `open -> waiting: I/O ${waits}`,
    log: `Volume osl:oracle@0: I/O ${waits}`,
    findings: waits,
  });

  farm.breakFence(false);
  await written;
  expect((await io.read(0, BLOCK.length)).equals(BLOCK)).toBe(true);
  expect(await farm.served('fast')).toBe(taker);
  const noFault = { findings: 'Pool fast', status: 'Warning: Pool' };
  const inOrder = [
    await shows(
      looks.get(taker)!,
      {
        // Between the fence and the mount, the server may have seen the pool as `not here`.
        events: ' -> ready',
        metrics: 'rsio_server_shared_pool_served{pool="fast"} 1',
        log: `Pool fast: ${dead}, generation ${generation}, is fenced`,
      },
      noFault,
    ),
    await shows(looks.get(third)!, { 'pool list': `served by ${next}`, metrics: fenced }, noFault),
  ];
  expect(inOrder[1]?.['metrics']).toContain(unserved);
  for (const views of inOrder) {
    expect(views['farm']).toMatch(/^0\n(.*\n)+fast .* serving\n$/);
    expect(views['metrics']).toContain(fenced);
  }
  const moved = { log: `osl:oracle@0: moved from server ${dead} to ${next}`, doctor: 'No I/O is waiting' };
  await shows(looks.get(holder)!, moved, { status: 'waits for', findings: 'waits for' });
});
