// Checks which network cards send and receive the traffic of each path. The check uses the kernel's routes and, during a short burst of
// data, the byte counters of the cards. With two cards in one subnet, Linux sends all traffic through the first card, and both cards answer
// ARP requests for either address. The remedy binds each local address to its card. Invariant: if a path was measured, the card that the
// measurement has found counts, not the card in the routing table.

import { interfaceOf, type MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { networkOf, isSameSubnet } from '@rsio/base/lib/subnet';
import { ROUTE_TABLE_FIRST } from '../../limits.ts';
import type { DoctorFacts, PathFacts } from '../gather/facts.ts';
import { type Finding, FindingList } from '../gather/finding.ts';
import { listOf, pathName } from '../gather/naming.ts';

/** A path, the card that has its local address, and the card that actually sends its traffic. */
interface Way {
  readonly path: PathFacts;
  readonly own: MachineInterface;
  readonly leavesBy: string;
  readonly isMeasured: boolean;
}

export function checkRoutes(facts: DoctorFacts): Finding[] {
  const findings = new FindingList('routes');
  const ways = facts.paths.flatMap((path) => wayOf(facts, path));
  const misled = ways.filter(({ own, leavesBy }) => leavesBy !== own.device);
  for (const device of new Set(misled.map(({ leavesBy }) => leavesBy))) misledFinding(findings, facts, ways, misled, device);
  for (const way of ways.filter((one) => !misled.includes(one))) arrivalFinding(findings, way);
  if (findings.list.length > 0) return findings.list;
  const used = ways.filter(({ path }) => path.unreached === null);
  for (const device of new Set(used.map(({ own }) => own.device))) {
    const by = used.filter(({ own }) => own.device === device);
    const proof = by.every(({ isMeasured }) => isMeasured) ? ', as its byte counters show' : '';
    findings.ok(`device ${device}`, `Carries the paths of ${listOf([...new Set(by.map(({ path }) => path.interface))])}${proof}`);
  }
  return findings.list;
}

function wayOf({ machine }: DoctorFacts, path: PathFacts): Way[] {
  const own = interfaceOf(path.local, machine.interfaces);
  const measured = path.report?.leavesBy ?? null;
  const leavesBy = measured ?? path.route?.device ?? null;
  // A server on this machine is always reached through the loopback interface, whichever address is used.
  if (own === null || own.isLoopback || leavesBy === null || leavesBy === 'lo') return [];
  return [{ path, own, leavesBy, isMeasured: measured !== null }];
}

function misledFinding(findings: FindingList, facts: DoctorFacts, ways: readonly Way[], misled: readonly Way[], device: string): void {
  const wrong = misled.filter(({ leavesBy }) => leavesBy === device);
  const expected = listOf([...new Set(wrong.map(({ path, own }) => `${path.interface} is on ${own.device}`))]);
  const proof = wrong.every(({ isMeasured }) => isMeasured) ? ', as the byte counters show' : '';
  const isAll = ways.every(({ leavesBy }) => leavesBy === device) && ways.length > 1;
  const what = isAll
    ? `${ways.length === 2 ? 'Both paths leave' : `All ${ways.length} paths leave`} by ${device}${proof}, although ${expected}: one cable carries everything`
    : `Traffic leaves by ${device}${proof}, although ${expected}`;
  const object = isAll ? listOf([...new Set(ways.map(({ path }) => path.interface))]) : listOf(wrong.map(({ path }) => pathName(path)));
  const [first] = wrong;
  if (first === undefined) return;
  const neighbours = ofOneSubnet(facts, first);
  if (neighbours.length < 2) {
    throughRouter(findings, facts, first, { object, what, where: `device ${device}` });
    return;
  }
  const network = networkOf(first.path.local, first.own.prefixLength);
  const remedy = `these commands bind each address to its card until the next boot (add them to the network configuration of this machine too); or give the cards addresses in different subnets, because ${network} is the subnet of ${neighbours.length} cards`;
  findings.error(object, what, `device ${device}`, remedy, keepToCards(facts, neighbours));
}

interface Fault {
  readonly object: string;
  readonly what: string;
  readonly where: string;
}

/** Reports a path to another subnet whose traffic does not pass through the router of the path's own card. */
function throughRouter(findings: FindingList, { machine }: DoctorFacts, { path, own }: Way, { object, what, where }: Fault): void {
  const router = path.local.includes(':') ? undefined : machine.routers[own.device];
  const ip = path.local.includes(':') ? 'ip -6' : 'ip';
  let table = ROUTE_TABLE_FIRST;
  while (machine.tables.includes(table)) table += 1;
  const network = networkOf(path.local, own.prefixLength);
  const commands = [
    `${ip} route replace ${network} dev ${own.device} src ${path.local} table ${table}`,
    `${ip} route replace default via ${router ?? 'ROUTER'} dev ${own.device} src ${path.local} table ${table}`,
    `${ip} rule add from ${path.local} table ${table}`,
  ];
  const otherwise = `or give the server an address in ${network}, the subnet of ${own.device}`;
  const remedy =
    router === undefined
      ? `route traffic from ${path.local} through the router of ${own.device}, with its address for ROUTER: ${commands.join('; ')}; ${otherwise}`
      : `these commands route traffic from ${path.local} through ${router}, the router of ${own.device}, until the next boot (add them to the network configuration of this machine too); ${otherwise}`;
  findings.error(object, what, where, remedy, router === undefined ? [] : commands);
}

/** Reports a path whose incoming traffic arrives on another card, because that card answered ARP requests for the path's local address. */
function arrivalFinding(findings: FindingList, { path, own }: Way): void {
  const arrivesBy = path.report?.arrivesBy ?? null;
  if (arrivesBy === null || arrivesBy === own.device || arrivesBy === 'lo') return;
  const what = `Traffic from the server to ${path.local} arrives on ${arrivesBy}, not on ${own.device}, as the byte counters show`;
  const remedy =
    'make each card answer ARP for its own address only, and flush its neighbours: the next ARP request tells the server which card has the address';
  findings.error(pathName(path), what, `device ${arrivesBy}`, remedy, path.local.includes(':') ? [] : arpCommands([own.device]));
}

/** Returns the configured interfaces in the subnet of the path's local address, or an empty list if they are all on one card. */
function ofOneSubnet({ file, machine }: DoctorFacts, { path, own }: Way): MachineInterface[] {
  const near = (file.config?.interfaces ?? []).flatMap(({ address }) => {
    const one = interfaceOf(address, machine.interfaces);
    const isNear =
      one !== null && address.includes(':') === path.local.includes(':') && isSameSubnet(path.local, own.prefixLength, address);
    return isNear ? [one] : [];
  });
  return new Set(near.map(({ device }) => device)).size < 2 ? [] : near;
}

/**
 * Returns commands that make each card answer ARP requests only for its own address. While traffic flows, the server keeps its outdated ARP
 * entry for this machine. The commands therefore also flush the neighbour table of this machine. The card that has the address then sends
 * an ARP request, which corrects the server's entry.
 */
function arpCommands(devices: readonly string[]): string[] {
  return [
    'sysctl -w net.ipv4.conf.all.arp_ignore=1',
    'sysctl -w net.ipv4.conf.all.arp_announce=2',
    ...[...new Set(devices)].map((device) => `ip neighbour flush dev ${device}`),
  ];
}

/** Returns commands that give each local address its own routing table. */
function keepToCards({ machine }: DoctorFacts, cards: readonly MachineInterface[]): string[] {
  const isFour = cards.every(({ address }) => !address.includes(':'));
  const ip = isFour ? 'ip' : 'ip -6';
  let table = ROUTE_TABLE_FIRST;
  const commands = cards.flatMap(({ address, prefixLength, device }) => {
    while (machine.tables.includes(table)) table += 1;
    const number = table;
    table += 1;
    return [
      `${ip} route replace ${networkOf(address, prefixLength)} dev ${device} src ${address} table ${number}`,
      `${ip} rule add from ${address} table ${number}`,
    ];
  });
  return [...commands, ...(isFour ? arpCommands(cards.map(({ device }) => device)) : [])];
}
