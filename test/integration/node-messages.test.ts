// Two nodes that coordinate through their servers, with real daemons: a message arrives once, even through one server alone, and a node
// drain of rsapp is an event. wait-event reports messages and events, and misses nothing between two calls.

import { beforeAll, expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import type { Host } from '../support/hosts/host.ts';
import { AppSite, kill } from '../support/scenes/app-site.ts';

const SIZE = 8 * 1024 * 1024;
const hosts = useHosts('file');
let site: AppSite;
let big2: Host;
let venus: Host;

beforeAll(async () => {
  site = await AppSite.start(hosts, { nodes: ['big-2', 'venus'] });
  [big2, venus] = [site.node('big-2'), site.node('venus')];
  await site.createMirror('db', SIZE);
  await big2.run('rsapp', [], 30_000);
}, 120_000);

interface Heard {
  readonly code: number | null;
  readonly after: string;
  readonly text: string;
}

/** Runs wait-event --json. `text`: that of a message, or the new state of an event. */
async function wait(node: Host, ...words: readonly string[]): Promise<Heard> {
  const { code, stdout } = await node.run('rsconfig', ['wait-event', '--json', '--timeout', '20s', ...words], 40_000);
  const {
    after = '',
    event,
    message,
  } = JSON.parse(stdout === '' ? '{}' : stdout) as {
    after?: string;
    event?: { to: string };
    message?: { text: string };
  };
  return { code, after, text: message?.text ?? event?.to ?? '' };
}

async function position(node: Host): Promise<string> {
  return (await node.rsconfigWell('wait-event', '--position')).trim();
}

it('a message arrives once, and the position leads from one to the next', { timeout: 90_000 }, async () => {
  const heard = wait(venus, '--from', 'big-2', '--after', await position(venus));
  const { stdout } = await big2.run('rsconfig', ['send', 'venus', 'first'], 10_000);
  expect(stdout).toBe('sent to venus through 2 servers\n');
  await big2.rsconfigWell('send', 'venus', 'second');
  const { text, after } = await heard;
  expect(text).toBe('first');
  expect(await wait(venus, '--from', 'big-2', '--after', after)).toMatchObject({ code: 0, text: 'second' });
  expect(
    await venus.run('rsconfig', ['wait-event', '--kind', 'message', '--after', await position(venus), '--timeout', '2s'], 10_000),
  ).toMatchObject({
    code: 3,
    stdout: '',
  });
  kill(site.servers[0]!, 'SIGKILL');
  const answer = wait(big2, '--from', 'venus', '--after', await position(big2));
  await venus.rsconfigWell('send', 'big-2', 'through one');
  expect((await answer).text).toBe('through one');
  await site.servers[0]!.start('rssrv');
  expect((await big2.rsconfig('send', 'mars', 'x')).stderr).toContain('shares a volume');
});

it('events of rsapp are heard, and listed with those of rsiod', { timeout: 60_000 }, async () => {
  const drained = wait(big2, '--kind', 'node', '--state', 'drained', '--after', await position(big2));
  await big2.rsconfigWell('node', 'drain');
  expect(await drained).toMatchObject({ code: 0, text: 'drained' });
  const listed = await big2.rsconfigWell('events');
  expect(listed).toMatch(/node big-2: active -> drained/);
  expect(listed).toMatch(/path if0 \S+: proving -> connected/);
});
