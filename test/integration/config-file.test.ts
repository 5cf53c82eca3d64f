// The client's file among processes: built by verbs from nothing so that rsiod runs on it, saved by many at once without a loss, and
// whole after a kill in the middle of saving. What single edits do is tested in packages/protocol/src/config.

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { keyOf, startServer } from '../support/configs.ts';
import { useLab } from '../support/lab.ts';
import { start, wellOf } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const ADDITIONS = 8;
const KILLS = 6;
const TEST_FOLDER = fileURLToPath(new URL('..', import.meta.url));

const lab = useLab();

it('rsiod runs with two paths on a file that verbs made', async () => {
  const [server, client, network] = [lab.host(), lab.host(), await lab.network(2)];
  await startServer(server, network, { volumes: { tvol1: { type: 'null', size: '1g' } } });
  const port = ['--port', String(network.port)];
  for (const [index, address] of network.clientAddresses().entries()) {
    await client.rsconfigWell('interface', 'add', `if${index}`, address);
  }
  await client.rsconfigWell('namespace', 'add', 'osl', '--id', '200', '--nodename', 'big-2', '--nodekey', keyOf('big-2'), ...port);
  for (const [index, address] of network.serverAddresses.entries()) {
    await client.rsconfigWell('server', 'add', `big-9-${index + 1}`, address);
  }
  expect(await client.rsconfigWell('check')).toBe(`${client.rsiodPaths.configFile}: nothing is wrong\n`);
  wellOf('rsiod', await client.run('rsiod'));
  await client.pathsUp(2);
  const { code, stderr } = await client.rsconfig('interface', 'add', 'if7', '127.7.7.7');
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: 'rsconfig: rsiod goes on with what it read before: rsconfig reload makes it use the change\n',
  });
});

it('of many verbs at once none is lost', async () => {
  const client = lab.host();
  const names = Array.from({ length: ADDITIONS }, (_, index) => `if${index}`);
  const results = await Promise.all(names.map((name, index) => client.rsconfig('interface', 'add', name, `127.0.${index}.1`)));
  for (const result of results) expect(result).toMatchObject({ code: 0, stderr: '' });
  const text = readFileSync(client.rsiodPaths.configFile, 'utf8');
  for (const name of names) expect(text).toContain(`[interface ${name}]`);
  expect(JSON.parse(await client.rsconfigWell('interface', 'list', '--json'))).toMatchObject({ interfaces: { length: ADDITIONS } });
});

it('a kill in the middle of saving leaves one of the two texts, whole', async () => {
  const file = lab.host().rsiodPaths.configFile;
  mkdirSync(path.dirname(file), { recursive: true });
  const texts = ['a', 'b'].map((letter) => `# ${letter}\n`.repeat(200_000));
  const code = `
    import { openConfigFile, saveConfigFile } from '@rsio/protocol/config/config-file';
    import { parseIni } from '@rsio/protocol/config/ini-document';
    const documents = ['a', 'b'].map((letter) => parseIni(('# ' + letter + '\\n').repeat(200_000)));
    let { fingerprint } = openConfigFile('${file}');
    for (let round = 0; ; round++) {
      ({ fingerprint } = saveConfigFile('${file}', documents[round % 2], fingerprint));
      if (round === 0) process.stdout.write('saved');
    }`;
  for (let round = 0; round < KILLS; round++) {
    const saver = start(process.execPath, ['--input-type=module', '-e', code], { cwd: TEST_FOLDER });
    await waitFor(() => saver.stdout() !== '', 20_000, 'the first text is saved');
    // Other moments of a save each time.
    await new Promise((resolve) => setTimeout(resolve, round * 13));
    saver.kill('SIGKILL');
    await saver.ended;
    expect(texts).toContain(readFileSync(file, 'utf8'));
    rmSync(`${file}.new`, { force: true });
  }
});
