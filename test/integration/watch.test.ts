// `rsconfig watch` and `rsconfig -m test` with real daemons: with output to a pipe, in a terminal, and when rsiod ends during `watch`. Unit
// tests compare the exact output.

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { serverConfig, startClient } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { launcher, needTool, start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const SHOWN_MS = 15_000;

const hosts = useHosts('file');
let network: TestNetwork;
let client: Host;

beforeAll(async () => {
  network = await hosts.network(2);
  const server = hosts.host();
  client = hosts.host();
  server.writeConfig('rssrv', serverConfig(network, { volumes: { oracle: { type: 'null', size: '1g' } } }));
  await server.start('rssrv');
  await startClient(client, network);
});

describe('watch', () => {
  it('on a pipe: a heading, then a line with its time for each path and second', async () => {
    let last = '';
    const isShown = async (): Promise<boolean> => {
      const { code, stdout, stderr } = await client.rsconfig('watch', '--count', '2', '--ascii');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      last = stdout;
      const [heading = '', ...lines] = stdout.trimEnd().split('\n');
      const pattern = (index: number): RegExp => {
        const address = network.serverAddresses[index % 2]?.replaceAll('.', '\\.');
        return new RegExp(`^\\d\\d:\\d\\d:\\d\\d if${index % 2} ${address}/${network.port} +connected ok/ok +\\d`);
      };
      const isHeading = /^time +path +state +tx\/rx +tx MB\/s +rx MB\/s +req\/s trip ms +load$/.test(heading);
      return isHeading && lines.length === 4 && lines.every((line, index) => pattern(index).test(line));
    };
    // Waits, because a path may be suspect for a moment on a slow machine.
    await waitFor(isShown, SHOWN_MS, 'Both paths are shown as connected').catch((error: Error) => {
      throw new Error(`${error.message}:\n${last}`, { cause: error });
    });
  });

  it('--json: one line per second', async () => {
    const text = await client.rsconfigWell('watch', '--count', '2', '--json');
    const samples = text.trimEnd().split('\n');
    expect(samples.map((line) => (JSON.parse(line) as { paths: unknown[] }).paths.length)).toEqual([2, 2]);
  });

  it('in a terminal: redrawn in place, and Ctrl-C restores the screen', async (context) => {
    needTool(context, 'script', 'bsdutils');
    const command = `TERM=xterm-256color exec ${launcher('rsconfig')} --root ${client.root} watch`;
    const watching = start('script', ['-qec', command, '/dev/null'], { timeoutMs: 60_000 });
    await waitFor(() => watching.stdout().split('\x1b[H').length > 2, 15_000, 'two pictures');
    // The child of `script` is rsconfig, because its shell uses exec.
    process.kill(Number(readFileSync(`/proc/${watching.pid}/task/${watching.pid}/children`, 'utf8')), 'SIGINT');
    const { stdout } = await watching.ended;
    expect(stdout).toContain('2 of 2 paths connected');
    expect(stdout.startsWith('\x1b[?1049h\x1b[?25l')).toBe(true);
    expect(stdout.endsWith('\x1b[?25h\x1b[?1049l')).toBe(true);
  });

  it('reports that rsiod has ended meanwhile, and how to continue', async () => {
    const other = hosts.host();
    await startClient(other, network, { node: 'venus', client: 1 });
    const watching = other.beside('rsconfig', ['watch']);
    await waitFor(() => watching.stdout().includes('connected'), 10_000, 'watch shows a path');
    await other.stop('rsiod');
    const { code, stderr } = await watching.ended;
    expect(code).toBe(1);
    expect(stderr).toBe('rsconfig: rsiod ended during watch: rsclogcat -n 20 shows why, rsiod starts it again [E_NOT_RUNNING]\n');
    expect((await other.rsconfig('watch')).stderr).toContain(`start it with: rsiod --root ${other.root} [E_NOT_RUNNING]`);
  });
});

describe('-m test', () => {
  const ROW = /^(if\d) -> (\S+)\/\d+ +big-9 +\d+\.\d ms +\d+\.\d{3} +\d+\.\d +\d+\.\d +\d+ /;

  it('measures every path', async () => {
    const wanted = ['if0', network.serverAddresses[0], 'if1', network.serverAddresses[1]].join();
    let last = '';
    // The command is repeated, because on a slow machine the datagrams that find the MTU may be too late.
    const isMeasured = async (): Promise<boolean> => {
      const { code, stdout } = await client.rsconfig('-m', 'test');
      last = stdout;
      return (
        code === 0 &&
        stdout
          .split('\n')
          .flatMap((line) => ROW.exec(line)?.slice(1) ?? [])
          .join() === wanted
      );
    };
    await waitFor(isMeasured, SHOWN_MS, 'Every path is measured').catch((error: Error) => {
      throw new Error(`${error.message}:\n${last}`, { cause: error });
    });
  });

  it.each(['if1', 'remote', 'local', 'if1:remote'])('measures the one path that is named by %s', async (how) => {
    const name = how.replace('remote', network.serverAddresses[1] ?? '').replace('local', network.clientAddresses()[1] ?? '');
    const { paths } = JSON.parse(await client.rsconfigWell('-m', 'test', name, '--json')) as { paths: { interface: string }[] };
    expect(paths.map((path) => path.interface)).toEqual(['if1']);
  });

  it('an unknown path is wrong usage', async () => {
    const { code, stderr } = await client.rsconfig('-m', 'test', 'if7');
    expect(code).toBe(2);
    expect(stderr).toMatch(/if7.* \[E_USAGE\]\n$/);
  });
});
