// The client's file with real processes: commands create a file with which rsiod runs, and many concurrent commands lose no change. Single
// edits, and a crash while saving, are tested in packages/common/src/config.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { keyOf, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { wellOf } from '../support/programs/programs.ts';

const ADDITIONS = 8;

const hosts = useHosts();

it('rsiod runs with two paths on a file made by commands, and adopts their changes', async () => {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  await startServer(server, network, { volumes: { tvol1: { type: 'null', size: '1g' } } });
  const port = ['--port', String(network.port)];
  for (const [index, address] of network.clientAddresses().entries()) {
    await client.rsconfigWell('interface', 'add', `if${index}`, address);
  }
  await client.rsconfigWell('namespace', 'add', 'osl', '--id', '200', '--nodename', 'big-2', '--nodekey', keyOf('big-2'), ...port);
  for (const [index, address] of network.serverAddresses.entries()) {
    await client.rsconfigWell('server', 'add', `big-9-${index + 1}`, address);
  }
  expect(await client.rsconfigWell('check')).toBe(`${client.rsiodPaths.configFile}: no faults\n`);
  wellOf('rsiod', await client.run('rsiod'));
  await client.pathsUp(2);
  const { code, stderr } = await client.rsconfig('interface', 'remove', 'if1');
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: 'rsconfig: rsiod still uses its old configuration: rsconfig reload applies the change\n',
  });
  await client.pathsUp(2);
  expect(await client.rsconfigWell('reload')).toMatch(/^.*if1.*\n$/);
  await client.pathsUp(1);
  expect(await client.rsconfigWell('interface', 'add', 'if1', network.clientAddresses()[1] ?? '', '--reload')).toMatch(
    /^interface if1 added\n.*if1.*\n$/,
  );
  await client.pathsUp(2);
});

it('many commands at once lose no edit', async () => {
  const client = hosts.host();
  const names = Array.from({ length: ADDITIONS }, (_, index) => `if${index}`);
  const results = await Promise.all(names.map((name, index) => client.rsconfig('interface', 'add', name, `127.0.${index}.1`)));
  for (const result of results) expect(result).toMatchObject({ code: 0, stderr: '' });
  const text = readFileSync(client.rsiodPaths.configFile, 'utf8');
  for (const name of names) expect(text).toContain(`[interface ${name}]`);
  expect(JSON.parse(await client.rsconfigWell('interface', 'list', '--json'))).toMatchObject({ interfaces: { length: ADDITIONS } });
});
