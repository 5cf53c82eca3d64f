// Checks the packet sizes on the network between client and server, and reports the findings of probes and exploration. Cables and cards
// are checked by interfaces.ts and routes.ts.

import type { Finding as ExplorerFinding, FindingKind } from '@rsio/protocol/explorer/finding';
import { interfaceOf } from '@rsio/protocol/explorer/interfaces';
import type { DoctorFacts, PathFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';
import { pathName } from '../gather/naming.ts';

/**
 * Kinds of findings that this check omits, because other checks report them or because they are not faults. For example, a missing answer
 * to exploration is not a fault, because a server may be configured not to answer.
 */
const REPORTED_ELSEWHERE: readonly FindingKind[] = ['mtu', 'wrong-device', 'no-answer', 'no-broadcast', 'cannot-ask', 'other-namespace'];
const ERRORS: readonly FindingKind[] = ['same-id', 'contradiction'];

export function checkWire(facts: DoctorFacts): Finding[] {
  const findings = new FindingList('wire');
  for (const path of facts.paths) packetSize(findings, facts, path);
  const noticed = [...facts.explored, ...facts.paths.flatMap(({ report }) => report?.findings ?? [])];
  const reported = new Set<string>();
  for (const one of noticed) {
    const key = `${one.kind} ${one.object}`;
    if (!REPORTED_ELSEWHERE.includes(one.kind) && !reported.has(key)) pass(findings, one);
    reported.add(key);
  }
  return findings.list;
}

function packetSize(findings: FindingList, { machine }: DoctorFacts, path: PathFacts): void {
  const goes = path.report?.mtuBytes ?? null;
  const own = interfaceOf(path.local, machine.interfaces);
  if (path.report === null || path.report.failure !== null || own === null || own.mtuBytes === null || own.isLoopback) return;
  if (goes === null) {
    agreedSize(findings, path, own.device, own.mtuBytes);
    return;
  }
  if (goes >= own.mtuBytes) {
    findings.ok(pathName(path), `Packets of ${own.mtuBytes} bytes get through`);
    return;
  }
  const what = `Packets of ${own.mtuBytes} bytes, the MTU of ${own.device}, do not get through; packets of ${goes} bytes do`;
  const remedy = `set the same MTU on the server's card and every switch in between, or lower that of ${own.device}`;
  findings.warning(pathName(path), what, `device ${own.device}`, remedy, [`ip link set dev ${own.device} mtu ${goes}`]);
}

/**
 * For a path on which no discovery datagram was answered, reports the packet size that TCP negotiated. A datagram may get no answer because
 * exploration is off, the address is IPv6, or the datagram was too large.
 */
function agreedSize(findings: FindingList, path: PathFacts, device: string, ownBytes: number): void {
  const { tcpMtuBytes, address } = path;
  if (tcpMtuBytes === null) {
    const why = address.includes(':') ? 'it is measured over IPv4 only' : `the server does not answer exploration at ${address}`;
    findings.ok(pathName(path), `The usable packet size is unknown: ${why}, and rsiod has no connection there to read it from`);
    return;
  }
  if (tcpMtuBytes >= ownBytes) {
    findings.ok(pathName(path), `Both ends have agreed on packets of ${ownBytes} bytes`);
    return;
  }
  const what = `The server's side accepts only packets of ${tcpMtuBytes} bytes, but the MTU of ${device} is ${ownBytes}`;
  const remedy = `set the same MTU on the server's card and every switch in between, or lower that of ${device}`;
  findings.warning(pathName(path), what, `device ${device}`, remedy, [`ip link set dev ${device} mtu ${tcpMtuBytes}`]);
}

function pass(findings: FindingList, { kind, object, count, sentence, remedy }: ExplorerFinding): void {
  const what = count > 1 ? `${sentence} (${count} times)` : sentence;
  if (ERRORS.includes(kind)) findings.error(object, what, null, remedy);
  else findings.warning(object, what, null, remedy);
}
