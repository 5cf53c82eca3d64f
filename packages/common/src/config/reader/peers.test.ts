// Tests the sections [peer NAME] of rssrvcfg: what they inherit from other sections, and the problems and warnings of wrong ones. The other
// sections have tests in rssrvcfg.test.ts.

import { describe, expect, test } from 'vitest';
import { PEERS_MAX } from '../schema/limits.ts';
import { examineRssrvConfig } from './rssrvcfg.ts';

const HEAD = `[namespace osl]
namespaceid = 200
port = 5100

[server big-9]
serverid = 1

[interface if0]
address = 127.0.0.1

[pool fast]
path = /srv/fast

[clients]
big-2 0123456789abcdef

`;
const KEY = 'nodekey = 0123456789abcdef\n';

function examine(text: string) {
  const { config, problems, warnings } = examineRssrvConfig(HEAD + text, 'rssrvcfg');
  const shown = (one: { line: number; message: string }) => `${one.line}: ${one.message}`;
  return { peers: config?.peers ?? null, problems: problems.map(shown), warnings: warnings.map(shown) };
}

test('a peer inherits the port, the namespaceid and the name of this server', () => {
  expect(examine(`[peer oslo-1]\naddress = 10.0.0.5, [fd00::5]:5200\n${KEY}`)).toEqual({
    peers: [
      {
        name: 'oslo-1',
        addresses: [
          { address: '10.0.0.5', port: 5100 },
          { address: 'fd00::5', port: 5200 },
        ],
        namespaceid: 200,
        nodename: 'big-9',
        nodekey: '0123456789abcdef',
        serverkey: null,
        tls: false,
        digest: false,
        pools: null,
        line: 17,
      },
    ],
    problems: [],
    warnings: [],
  });
});

test('every key of a peer can be set', () => {
  const keys = 'port = 6000\nnodename = n\nserverkey = fedcba9876543210\nnamespaceid = 7\ntls = on\ndigest = on\npools = fast\n';
  const { peers, problems } = examine(`[peer oslo-1]\naddress = 10.0.0.5\n${KEY}${keys}`);
  expect(problems).toEqual([]);
  expect(peers?.[0]).toMatchObject({
    addresses: [{ address: '10.0.0.5', port: 6000 }],
    nodename: 'n',
    serverkey: 'fedcba9876543210',
    namespaceid: 7,
    tls: true,
    digest: true,
    pools: ['fast'],
  });
});

describe('wrong peers', () => {
  const at = 'address = 10.0.0.5\n';
  test.each([
    [`[peer oslo-1]\n${KEY}`, /^17: No address in \[peer oslo-1\]: add "address = \.\.\."/],
    [`[peer oslo-1]\n${at}`, /^17: No nodekey in \[peer oslo-1\]/],
    [`[peer oslo-1]\naddress = 10.0.0.5, 10.0.0.5\n${KEY}`, /^18: Wrong value "10.0.0.5, 10.0.0.5" for address: allowed is 1 to 16/],
    [`[peer oslo-1]\naddress = 10.0.0.5/24\n${KEY}`, /^18: Wrong value/],
    [`[peer big-9]\n${at}${KEY}`, /^17: Peer "big-9" has the name of this server/],
    [`[peer oslo-1]\n${at}${KEY}pools = slow\n`, /^20: Peer "oslo-1" may use pool "slow": there is no section \[pool slow\]/],
    [`[peer a]\n${at}${KEY}[peer a]\naddress = 10.0.0.6\n${KEY}`, /^20: Duplicate peer name "a" \(first in line 17\)/],
    [`[peer a]\n${at}${KEY}[peer b]\n${at}${KEY}`, /^21: Duplicate address 10.0.0.5:5100 of a peer \(first in line 18\)/],
    [`[peer a]\n${at}nodekey = short\ntls = on\n`, /^19: Short nodekey with tls = on \(line 20\).*rsadm client rekey at the peer/],
  ])('%j', (text, message) => {
    const { peers, problems } = examine(text);
    expect([peers, problems.length]).toEqual([null, 1]);
    expect(problems[0]).toMatch(message);
  });

  test('too many', () => {
    const all = Array.from({ length: PEERS_MAX + 1 }, (_, index) => `[peer p${index}]\naddress = 10.0.1.${index + 1}\n${KEY}`);
    expect(examine(all.join('')).problems).toEqual([expect.stringMatching(/9 peers: allowed are at most 8$/)]);
  });

  test('a short key without tls is a warning', () => {
    expect(examine(`[peer a]\n${at}nodekey = short\n`).warnings).toEqual([expect.stringMatching(/^19: Short nodekey: 5 characters/)]);
  });
});
