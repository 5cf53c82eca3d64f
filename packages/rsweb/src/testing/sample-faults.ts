// The faults of the sample picture, and the events about them.
// One text contains HTML markup, which every page must escape.

import type { Event, Finding } from '../model/picture.ts';

/** A text with markup, which the sample uses as a hostile name and error text. */
export const MARKUP = `<img src=x onerror="alert('x')">&amp;`;

type FindingAt = (takenMs: number) => Finding;

export const FINDINGS: readonly FindingAt[] = [
  (takenMs) => ({
    id: 'not-served volume wiki-05@0',
    severity: 'error',
    what: 'Volume wiki-05@0 is not served: its file is locked by another program',
    where: 'server themis',
    remedy: 'End the program that has the file open, then let the server read its configuration again',
    commands: ['fuser -v /srv/bulk/wiki-05/data', 'rsadm reload'],
    href: '/volume/5f3a002a',
    sinceMs: takenMs - 3_900_000,
  }),
  (takenMs) => ({
    id: 'no-path client web-07',
    severity: 'error',
    what: 'Client web-07 has no path to its servers, and its I/O waits',
    where: 'client web-07',
    remedy: 'Look on that machine for the interface that is down',
    commands: ['rsconfig doctor'],
    href: '/client/web-07',
    sinceMs: takenMs - 140_000,
  }),
  (takenMs) => ({
    id: 'full pool rhea:fast',
    severity: 'warning',
    what: 'Pool fast is more than 95% full, 491.5G are free',
    where: 'server rhea',
    remedy: 'Enlarge its file system, or remove volumes',
    commands: ['rsadm pool list', 'rsadm volume list --pool fast'],
    href: '/pool/rhea%3Afast',
    sinceMs: takenMs - 7_200_000,
  }),
  (takenMs) => ({
    id: 'path server themis if1',
    severity: 'warning',
    what: '6 paths to interface if1 of server themis are down: No answer within 3000 ms',
    where: 'server themis',
    remedy: 'Check the cable and the switch of 192.168.46.12',
    commands: ['ip -s link show', 'rsconfig doctor'],
    href: '/server/themis',
    sinceMs: takenMs - 140_000,
  }),
];

export function sampleEvents(takenMs: number, isWell: boolean): Event[] {
  const started: Event[] = Array.from({ length: 40 }, (_, index) => ({
    id: `${index}`,
    atMs: takenMs - (60 - index) * 600_000,
    machine: ['atlas', 'rhea', 'themis', 'hyperion'][index % 4] ?? '',
    object:
      index % 3 === 0
        ? `volume web-${String((index % 9) + 1).padStart(2, '0')}@0`
        : `client app-${String((index % 9) + 1).padStart(2, '0')}`,
    from: index % 2 === 0 ? 'absent' : 'connected',
    to: index % 2 === 0 ? 'connected' : 'absent',
    reason: index % 2 === 0 ? 'it has logged in' : 'it has ended its session',
    href: index % 3 === 0 ? null : `/client/app-${String((index % 9) + 1).padStart(2, '0')}`,
  }));
  if (isWell) return started;
  return [
    ...started,
    {
      id: 'a',
      atMs: takenMs - 3_900_000,
      machine: 'themis',
      object: 'volume wiki-05@0',
      from: 'served',
      to: 'unavailable',
      reason: `its file is locked by another program ${MARKUP}`,
      href: '/volume/5f3a002a',
    },
    {
      id: 'b',
      atMs: takenMs - 140_000,
      machine: 'themis',
      object: 'client web-07',
      from: 'connected',
      to: 'silent',
      reason: 'No answer within 3000 ms',
      href: '/client/web-07',
    },
  ];
}
