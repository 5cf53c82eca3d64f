// Reads the sections [peer NAME] of rssrvcfg. Invariant: two peers never have one name or one address, because each name must be proved by
// one server.

import { addressKey } from '@rsio/base/lib/subnet';
import { printEndpoint, quoteText } from '@rsio/base/lib/units';
import { PEERS_MAX } from '../schema/limits.ts';
import type { PEER_SECTION } from '../schema/peer-section.ts';
import type { PeerConfig } from '../schema/types.ts';
import { type Findings, Uniques } from './findings.ts';
import type { SectionReader } from './section-reader.ts';

/** What peers inherit from other sections. `name`: the name of this server. `pools`: the names of its pools. */
export interface PeerDefaults {
  readonly name: string;
  readonly port: number;
  readonly namespaceid: number;
  readonly pools: readonly string[];
}

type Reader = SectionReader<(typeof PEER_SECTION)['keys']>;

export function readPeers(readers: readonly Reader[], defaults: PeerDefaults, findings: Findings): readonly PeerConfig[] {
  const beyond = readers[PEERS_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} peers: allowed are at most ${PEERS_MAX}`);
  const uniques = new Uniques(findings);
  return readers.flatMap((reader) => readPeer(reader, defaults, uniques, findings));
}

function readPeer(reader: Reader, defaults: PeerDefaults, uniques: Uniques, findings: Findings): PeerConfig[] {
  const { name } = reader;
  uniques.claim(`name ${name}`, reader.line, `peer name ${quoteText(name)}`, 'give each peer one section with all its addresses');
  if (name === defaults.name)
    findings.problem(
      reader.line,
      `Peer ${quoteText(name)} has the name of this server: give the name of the other server, in its [server]`,
    );
  const [given, nodekey, serverkey, pools] = [
    reader.value('address'),
    reader.value('nodekey'),
    reader.value('serverkey'),
    reader.value('pools'),
  ];
  const remedy = 'rsadm client rekey at the peer changes it while tls is off';
  const demand = reader.value('tls') ? { setting: 'tls = on', line: reader.lineOf('tls'), remedy } : null;
  findings.checkLength(reader.lineOf('nodekey'), 'nodekey', nodekey, demand);
  findings.checkLength(reader.lineOf('serverkey'), 'serverkey', serverkey);
  for (const pool of pools ?? [])
    if (!defaults.pools.includes(pool))
      findings.problem(
        reader.lineOf('pools'),
        `Peer ${quoteText(name)} may use pool ${quoteText(pool)}: there is no section [pool ${pool}]`,
      );
  const port = reader.value('port') ?? defaults.port;
  const addresses = (given ?? []).map(({ address, port: own }) => ({ address, port: own ?? port }));
  for (const one of addresses) {
    const place = `address ${printEndpoint(one.address, one.port)} of a peer`;
    uniques.claim(`${addressKey(one.address)} ${one.port}`, reader.lineOf('address'), place, 'name each address once');
  }
  if (given === null || nodekey === null) return [];
  return [
    {
      name,
      addresses,
      nodekey,
      serverkey,
      pools,
      tls: reader.value('tls'),
      digest: reader.value('digest'),
      line: reader.line,
      namespaceid: reader.value('namespaceid') ?? defaults.namespaceid,
      nodename: reader.value('nodename') ?? defaults.name,
    },
  ];
}
