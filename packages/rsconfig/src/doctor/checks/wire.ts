// What the wire between the two ends can do: packet sizes, and what the probes and the exploration noticed besides.
// Leaves cables and their cards to routes.ts.

import type { Finding as ExplorerFinding, FindingKind } from '@rsio/protocol/explorer/finding';
import { interfaceOf } from '@rsio/protocol/explorer/interfaces';
import type { DoctorFacts, PathFacts } from '../facts.ts';
import { type Finding, FindingList } from '../finding.ts';
import { pathName } from '../words.ts';

/** Told by other checks in their own words, or nothing wrong: a server may be told not to answer beacons. */
const NOT_HERE: readonly FindingKind[] = ['mtu', 'wrong-device', 'no-answer', 'no-broadcast', 'cannot-ask', 'other-namespace'];
const ERRORS: readonly FindingKind[] = ['same-id', 'contradiction'];

export function checkWire(facts: DoctorFacts): Finding[] {
  const findings = new FindingList('wire');
  for (const path of facts.paths) packetSize(findings, facts, path);
  const noticed = [...facts.explored, ...facts.paths.flatMap(({ report }) => report?.findings ?? [])];
  const told = new Set<string>();
  for (const one of noticed) {
    const key = `${one.kind} ${one.object}`;
    if (!NOT_HERE.includes(one.kind) && !told.has(key)) pass(findings, one);
    told.add(key);
  }
  return findings.list;
}

function packetSize(findings: FindingList, { machine }: DoctorFacts, path: PathFacts): void {
  const goes = path.report?.mtuBytes ?? null;
  const own = interfaceOf(path.local, machine.interfaces);
  if (goes === null || own === null || own.mtuBytes === null || own.isLoopback) return;
  if (goes >= own.mtuBytes) {
    findings.ok(pathName(path), `Packets of ${own.mtuBytes} bytes go through`);
    return;
  }
  const what = `Packets of ${own.mtuBytes} bytes, the MTU of ${own.device}, do not get through; of ${goes} bytes they do`;
  const remedy = `set the same MTU on the server's card and every switch between, or lower that of ${own.device}`;
  findings.warning(pathName(path), what, `device ${own.device}`, remedy, [`ip link set dev ${own.device} mtu ${goes}`]);
}

function pass(findings: FindingList, { kind, object, count, sentence, remedy }: ExplorerFinding): void {
  const what = count > 1 ? `${sentence} (${count} times)` : sentence;
  if (ERRORS.includes(kind)) findings.error(object, what, null, remedy);
  else findings.warning(object, what, null, remedy);
}
