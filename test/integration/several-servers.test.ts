// Three servers in two namespaces and three clients, each with two interfaces. The tests compare every output character by character, and
// test serverkey. test/data-centre/outputs.ts has the steps, and each step builds on the earlier steps. Rules: N11 in docs/GUARANTEES.md.

import { beforeAll, describe, expect, it } from 'vitest';
import { DataCentre } from '../data-centre/data-centre.ts';
import { OUTPUT_STEPS } from '../data-centre/outputs.ts';
import { clientFile } from '../data-centre/site.ts';
import { BIG_5_KEY } from '../data-centre/standard-site.ts';
import { useHosts } from '../support/hosts/hosts.ts';

const hosts = useHosts('file');
let centre: DataCentre;

beforeAll(async () => {
  centre = await DataCentre.make(hosts);
});

describe('the data centre', () => {
  for (const { name, run } of OUTPUT_STEPS) it(name, () => run(centre), 90_000);
});

describe('a serverkey', () => {
  it.each([
    ['that is wrong', 40, '0xnot-the-word-of-big-5', /error: .*E_AUTH/],
    ['that is missing', 41, null, /error: .*E_AUTH/],
    ['that is right', 42, BIG_5_KEY, null],
  ])('%s: the server is met, or it is said why not, and its name is not believed', async (_, address, serverkey, problem) => {
    const { big5 } = centre.site.servers;
    big5.clients = [...new Set([...big5.clients, 'mars'])];
    await centre.reloadServer(big5);
    const host = hosts.host();
    const sections = big5.interfaces.map((one, index) => ({
      name: `big-5-${index}`,
      server: { ...big5, serverkey },
      address: one.address,
    }));
    const interfaces = [
      { name: 'if0', address: centre.address(0, address) },
      { name: 'if1', address: centre.address(1, address) },
    ];
    host.writeConfig(
      'rsiod',
      clientFile({ name: 'mars', interfaces, logins: [{ namespace: big5.namespace, node: 'mars', keys: {}, sections }] }),
    );
    await host.start('rsiod');
    if (problem === null) {
      await host.pathsUp(2);
      expect(await host.rsconfigWell('-q')).toContain('srv: 000 big-5\n');
      return;
    }
    expect(await host.rsconfigWell('-m', 'status', '-v')).toMatch(problem);
    expect(await host.rsconfigWell('-q')).toBe('000 osl\n  clt: mars\n  srv: 000 big-5-0\n  srv: 001 big-5-1\n');
    await host.stop('rsiod');
  });
});
