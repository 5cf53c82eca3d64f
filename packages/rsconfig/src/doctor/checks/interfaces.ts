// Checks that this machine has the addresses of the configured interfaces, that their devices have a carrier, and that no two interfaces
// share a cable. The check also warns about links of different speed and about interfaces without a path.

import type { ClientInterfaceConfig } from '@rsio/common/config/schema/types';
import { addressKey } from '@rsio/base/lib/subnet';
import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/interfaces';
import type { DoctorFacts, SilentAddress } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';
import { listOf, locationOf } from '../gather/naming.ts';

interface OnMachine {
  readonly configured: ClientInterfaceConfig;
  readonly machine: MachineInterface;
}

export function checkInterfaces(facts: DoctorFacts): Finding[] {
  const findings = new FindingList('interfaces');
  const found: OnMachine[] = [];
  for (const configured of facts.file.config?.interfaces ?? []) {
    const machine = interfaceOf(configured.address, facts.machine.interfaces);
    if (machine === null) missing(findings, facts, configured);
    else found.push({ configured, machine });
  }
  for (const { configured, machine } of found) {
    if (machine.hasCarrier) findings.ok(`interface ${configured.name}`, described(machine));
    else withoutCarrier(findings, facts, configured, machine);
  }
  sharedCables(findings, facts, found);
  differingSpeeds(findings, facts, found);
  const idle = facts.leftOut.filter(({ type, address }) => type === 'interface' && found.some((one) => one.configured.address === address));
  for (const one of idle) {
    const where = locationOf(facts.file, { type: 'interface', name: one.object });
    const remedy = `give the servers an interface in its subnet, set paths = all in the file, or remove it: rsconfig interface remove ${one.object}`;
    findings.warning(`interface ${one.object}`, `No path starts at ${one.address}: ${one.reason}`, where, remedy);
  }
  return findings.list;
}

function missing(findings: FindingList, facts: DoctorFacts, { name, address }: ClientInterfaceConfig): void {
  const { file, machine } = facts;
  const silent = facts.silent.find((one) => addressKey(one.address) === addressKey(address));
  if (silent !== undefined) {
    switchedOff(findings, facts, name, silent);
    return;
  }
  const own = machine.interfaces.filter(({ isLoopback }) => !isLoopback).map((one) => `${one.address} (${one.device})`);
  const instead = own.length === 0 ? 'it has only loopback addresses' : `it has ${listOf(own)}`;
  const what = `This machine does not have address ${address}: ${instead}`;
  const remedy = `assign ${address} to a network card, or correct the file: rsconfig interface remove ${name}, then rsconfig interface add ${name} ADDRESS`;
  findings.error(`interface ${name}`, what, locationOf(file, { type: 'interface', name }, 'address'), remedy);
}

function switchedOff(findings: FindingList, { file }: DoctorFacts, name: string, { device, address, isUp }: SilentAddress): void {
  const what = `${device}, which has ${address}, ${isUp ? 'has no carrier' : 'is down'}`;
  const remedy = isUp ? 'plug in its cable, or enable its switch port' : 'bring it up';
  const where = `${device}, ${locationOf(file, { type: 'interface', name })}`;
  findings.error(`interface ${name}`, what, where, remedy, isUp ? [] : [`ip link set dev ${device} up`]);
}

function withoutCarrier(findings: FindingList, { file }: DoctorFacts, { name }: ClientInterfaceConfig, machine: MachineInterface): void {
  const what = `${machine.device}, which has ${machine.address}, has no carrier`;
  const remedy = 'plug in its cable, enable its switch port, or bring the card up';
  const where = `${machine.device}, ${locationOf(file, { type: 'interface', name })}`;
  findings.error(`interface ${name}`, what, where, remedy, [`ip link set dev ${machine.device} up`]);
}

function described({ address, prefixLength, device, linkMbps, mtuBytes }: MachineInterface): string {
  const speed = linkMbps === null ? '' : `, ${linkMbps} Mbit/s`;
  const mtu = mtuBytes === null ? '' : `, MTU ${mtuBytes}`;
  return `${address}/${prefixLength} on ${device}${speed}${mtu}`;
}

function sharedCables(findings: FindingList, { file, machine: { standsOn } }: DoctorFacts, found: readonly OnMachine[]): void {
  const cables = found
    .filter(({ machine }) => !machine.isLoopback)
    .map(({ configured: { name }, machine: { device } }) => ({ name, device, card: standsOn[device] ?? device }));
  for (const card of new Set(cables.map((one) => one.card))) {
    const on = cables.filter((one) => one.card === card);
    const [, second] = on;
    if (second === undefined) continue;
    const names = on.map(({ name }) => name);
    const devices = [...new Set(on.map(({ device }) => device))].filter((device) => device !== card);
    const over = devices.length === 0 ? '' : `, by ${listOf(devices)}`;
    const what = `They all use ${card}${over}: if its one cable fails, all of them fail`;
    const remedy = `give each interface an address on a card of its own, or keep one: rsconfig interface remove ${second.name}`;
    const where = locationOf(file, { type: 'interface', name: second.name }, 'address');
    findings.warning(`interfaces ${listOf(names)}`, what, where, remedy);
  }
}

function differingSpeeds(findings: FindingList, { file }: DoctorFacts, found: readonly OnMachine[]): void {
  const known = found.flatMap(({ configured, machine }) =>
    machine.linkMbps === null ? [] : [{ name: configured.name, device: machine.device, mbps: machine.linkMbps }],
  );
  const slowest = known.toSorted((left, right) => left.mbps - right.mbps)[0];
  if (slowest === undefined || known.every(({ mbps }) => mbps === slowest.mbps)) return;
  const speeds = listOf(known.map(({ name, device, mbps }) => `${name} (${device}) ${mbps} Mbit/s`));
  const remedy = `if ${slowest.device} should be as fast as the others, check its cable and switch port, and see ethtool ${slowest.device}`;
  const where = `${slowest.device}, ${locationOf(file, { type: 'interface', name: slowest.name })}`;
  findings.warning('link speeds', `The links differ in speed: ${speeds}`, where, remedy);
}
