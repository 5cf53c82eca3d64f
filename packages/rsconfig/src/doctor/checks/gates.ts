// Checks the gates: that hosts reach them, that they offer the volumes that the file names, and that not every host can write to them.
// Pure. Invariant: without an answer of rsiod about its gates, nothing is found.

import type { AoeGateConfig, ClientGateConfig } from '@rsio/common/config/schema/types';
import type { AoeGateView, GateView } from '@rsio/api/rsiod/methods';
import { isLoopback } from '@rsio/base/lib/subnet';
import { GATE_WAIT_LATE_MS } from '../../limits.ts';
import type { DoctorFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';

export function checkGates({ gates, aoeGates, file, rootOption }: DoctorFacts): Finding[] {
  const findings = new FindingList('gates');
  for (const gate of gates) {
    const before = findings.list.length;
    judge(findings, gate, rootOption);
    const config = file.config?.gates.find(({ name }) => name === gate.name);
    if (config !== undefined) judgeConfig(findings, gate, config);
    if (findings.list.length === before) findings.ok(`gate ${gate.name}`, `Listens at ${gate.listening.join(', ')}`);
  }
  for (const gate of aoeGates)
    judgeAoe(
      findings,
      gate,
      file.config?.aoeGates.find(({ name }) => name === gate.name),
    );
  return findings.list;
}

function judgeAoe(findings: FindingList, view: AoeGateView, config: AoeGateConfig | undefined): void {
  const { name, trouble, writes, shelf, volumes } = view;
  const object = `gate ${name}`;
  const before = findings.list.length;
  if (trouble !== null) {
    const remedy = `see that the interface ${view.interface} is there, that perl is installed, and that rsiod may open packet sockets (docs/HOSTS.md)`;
    findings.error(object, `It answers no host of AoE: ${trouble}`, null, remedy);
  }
  if (writes === 'unsafe') {
    const what = `Hosts of AoE can write ${volumes.map(({ label }) => label).join(' and ') || 'its volumes'}: a frame that the network delays can revert an acknowledged block`;
    findings.warning(object, what, null, `remove aoe-writes = unsafe from [gate ${name}], and use NVMe/TCP for writes`);
  }
  warnOfMissing(findings, object, { name, offered: config?.volumes ?? 'all' }, volumes);
  if (findings.list.length === before) findings.ok(object, `Answers hosts of AoE at ${view.interface} as shelf ${shelf}`);
}

function warnOfMissing(
  findings: FindingList,
  object: string,
  { name, offered }: { readonly name: string; readonly offered: 'all' | readonly string[] },
  shown: readonly { readonly label: string }[],
): void {
  const there = new Set(shown.flatMap(({ label }) => namesIn(label)));
  const missing = offered === 'all' ? [] : offered.filter((one) => !there.has(one));
  if (missing.length === 0) return;
  const what = `It does not offer ${missing.join(' and ')}, because this client has not attached ${missing.length === 1 ? 'it' : 'them'}`;
  findings.warning(object, what, null, `attach what it is to offer (rsconfig -a NAME), or change volumes in [gate ${name}]`);
}

function judge(findings: FindingList, { name, trouble, addresses, listening, figures }: GateView, rootOption: string): void {
  const object = `gate ${name}`;
  const reload = [`rsconfig${rootOption} reload`];
  if (trouble !== null) {
    findings.error(object, `No host can log in: ${trouble}`, null, 'mend what it names, then make rsiod reload the file', reload);
    return;
  }
  const mute = addresses.filter((address) => !listening.includes(address));
  const what = `rsiod does not listen at ${mute.join(' and ')}`;
  const remedy = 'see rsclogcat for the reason: this machine lacks the address, or another program has the port';
  if (listening.length === 0) findings.error(object, `${what}: no host reaches the gate`, null, remedy);
  else if (mute.length > 0) findings.warning(object, `${what}: hosts have fewer paths`, null, remedy);
  if (figures.waitedMs < GATE_WAIT_LATE_MS) return;
  const waits = `A command of a host has waited for memory for ${Math.round(figures.waitedMs / 1_000)} s`;
  findings.warning(object, waits, null, 'help the volumes whose I/O waits, because their commands have the memory of all gates', [
    `rsconfig${rootOption} -m status -v`,
  ]);
}

function judgeConfig(findings: FindingList, { volumes: shown }: GateView, config: ClientGateConfig): void {
  const { name, hosts, volumes, addresses, secrets } = config;
  const object = `gate ${name}`;
  for (const { label, why } of shown)
    if (why !== null)
      findings.warning(object, `It has not got ${label}: ${why}`, null, 'help the gate that has it, or wait: the gate tries again');
  warnOfMissing(findings, object, { name, offered: volumes }, shown);
  const open = addresses.filter(({ address }) => !isLoopback(address));
  if (hosts !== null || secrets !== null || open.length === 0) return;
  const what = `Every host that reaches ${open.map(({ address }) => address).join(' or ')} can read and write its volumes (hosts = all)`;
  findings.warning(object, what, null, `name the hosts in [gate ${name}], and use a network that only they reach`);
}

/** Returns the names that the file may use: oracle@0 or oracle for osl:oracle@0, and also oracle@monday for osl:oracle@0@monday. */
function namesIn(label: string): string[] {
  const name = label.slice(label.indexOf(':') + 1);
  return [name, name.replace(/@0(?=@|$)/, '')];
}
